"""What all embedding models share: fixed windows, and being loaded by name."""

import numpy as np
import pytest

from noencore.embeddings import check_text_tower, fixed_windows, load_embedding_model, load_text_audio_model
from noencore.errors import UserError


@pytest.mark.parametrize("length", [10, 11, 14, 15, 23])
def test_every_sample_is_in_a_window_and_nothing_is_made_up(length):
    wave = np.arange(length, dtype=np.float32)
    windows, padded = fixed_windows(wave, 10, 4)
    assert set(windows.ravel()) == set(wave)
    assert (np.diff(windows, axis=1) == 1).all()
    assert windows[-1, -1] == wave[-1]
    assert padded.tolist() == [0] * len(windows)


def test_windows_start_every_hop_and_the_last_one_is_right_aligned():
    starts = {length: fixed_windows(np.arange(length), 10, 4)[0][:, 0].tolist() for length in (10, 14, 15)}
    assert starts == {10: [0], 14: [0, 4], 15: [0, 4, 5]}


def test_a_wave_below_one_window_is_padded_with_zeros_and_says_so():
    windows, padded = fixed_windows(np.ones(3, np.float32), 10, 4)
    assert windows.tolist() == [[1] * 3 + [0] * 7]
    assert padded.tolist() == pytest.approx([0.7])


def test_an_unknown_name():
    with pytest.raises(UserError, match="'nonesuch': unknown; choose one of musicnn, codec"):
        load_embedding_model("nonesuch")
    with pytest.raises(UserError, match="'musicnn': unknown; choose one of tagtext"):
        load_text_audio_model("musicnn")


def test_a_collapsed_text_tower_is_refused():
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((12, 64))
    check_text_tower(vectors, "model")
    with pytest.raises(UserError, match=r"model: its text tower has collapsed.* 0\.9"):
        check_text_tower(vectors + 10, "model")
