"""Landmark fingerprints: what they survive, what they do not, and what a search with them costs."""

import json

import numpy as np
import pytest
from music import ALTERED, tune

from noencore import fingerprint as library
from noencore.fingerprint import HOP, SAMPLE_RATE, Landmarks, fingerprint, landmark_scores, landmark_tensors


def landmarks_of(waves):
    found = [fingerprint(wave) for wave in waves]
    hashes, times = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    return Landmarks(hashes, times, np.repeat(np.arange(len(found)), [len(h) for h, _ in found]), len(found))


@pytest.fixture(scope="module")
def forget():
    return [tune(seed) for seed in range(15)]


@pytest.fixture(scope="module")
def index(forget):
    return landmarks_of(forget)


@pytest.fixture(scope="module")
def strangers(index):
    """Scores of 30 tunes that are not in the index."""
    return landmark_scores(landmarks_of([tune(seed) for seed in range(100, 130)]), index)


@pytest.mark.parametrize("change", ALTERED)
def test_a_copy_is_found_after(change, forget, index, strangers):
    """Every one of 15 altered tunes scores higher than each of 30 strangers."""
    altered = [ALTERED[change](wave, tune(200 + i)) for i, wave in enumerate(forget)]
    scores = landmark_scores(landmarks_of(altered), index)
    assert scores.min() > strangers.max()
    if change == "identity":
        assert (scores == 1).all()


def test_a_change_of_tempo_hides_a_copy(forget, index, strangers):
    faster = [np.interp(np.arange(0, len(wave) - 1, 2 ** (1 / 12)), np.arange(len(wave)), wave) for wave in forget]
    assert (landmark_scores(landmarks_of(faster), index) > strangers.max()).mean() < 0.2


def test_gain_changes_nothing(forget):
    for array, other in zip(fingerprint(forget[0]), fingerprint(forget[0] / 8), strict=True):
        np.testing.assert_array_equal(array, other)


def test_a_shift_by_whole_frames_shifts_the_landmarks(forget):
    """Inside the shared part, apart from its ends, landmarks are the same ones, so many frames earlier."""
    hashes, times = fingerprint(forget[1])
    hashes_later, times_later = fingerprint(forget[1][50 * HOP :])
    whole = set(zip(hashes.tolist(), (times - 50).tolist(), strict=True))
    cut = {pair for pair in zip(hashes_later.tolist(), times_later.tolist(), strict=True) if pair[1] > 40}
    assert cut
    assert cut <= whole


def test_types_and_order(forget):
    hashes, times = fingerprint(forget[0])
    assert (hashes.dtype, times.dtype) == (np.int64, np.int32)
    assert (np.diff(times) >= 0).all()
    assert times.max() < len(forget[0]) / HOP


@pytest.mark.parametrize("samples", [0, 1, 1023, 5 * SAMPLE_RATE])
def test_no_sound_has_no_landmarks(samples):
    hashes, times = fingerprint(np.zeros(samples, np.float32))
    assert len(hashes) == len(times) == 0


@pytest.mark.parametrize("wave", [np.zeros((2, 4000)), np.full(4000, np.nan), np.full(4000, np.inf)])
def test_a_wave_that_is_none_is_refused(wave):
    with pytest.raises(ValueError, match="finite mono wave"):
        fingerprint(wave)


def test_a_file_holds_clips_in_order(forget):
    silence = np.zeros(SAMPLE_RATE, np.float32)
    found = [fingerprint(wave) for wave in (forget[0], silence, forget[1])]
    tensors, metadata = landmark_tensors(found, ["a", "b", "a"])
    assert json.loads(metadata["clip_ids"]) == ["a", "b", "a"]
    np.testing.assert_array_equal(tensors["clip"].unique(), [0, 2])
    np.testing.assert_array_equal(tensors["hash"][tensors["clip"] == 2], found[2][0])
    assert len(landmark_tensors([], [])[0]["hash"]) == 0


def test_scores_by_hand():
    """A clip's hits at its best offset over the landmarks of the smaller clip, of which 30 count at least."""
    hashes = 1000 * np.arange(1, 61)
    reference = Landmarks(np.tile(hashes, 2), np.concatenate([np.arange(60), 2 * np.arange(60)]),
                          np.repeat([0, 1], 60), 3)  # fmt: skip

    def score(hashes, times):
        return landmark_scores(Landmarks(hashes, times, np.zeros(len(hashes), int), 1), reference)[0]

    assert score(hashes, np.arange(60) + 7) == 1
    assert score(hashes[:40], np.arange(40)) == 1
    assert score(hashes[:6], np.arange(6)) == 6 / 30
    assert score(hashes + 1, np.arange(60)) == 1  # a frame more between the peaks
    assert score(hashes + 2, np.arange(60)) == 0
    assert score(hashes, 10 * np.arange(60)) == 1 / 60  # alike, but never at one offset
    assert score(hashes[:0], np.arange(0)) == 0
    unequal = np.arange(60) + np.arange(60) % 2  # half of them a frame later
    assert score(hashes, unequal) == 1


def test_scores_do_not_depend_on_the_order_or_on_other_queries(index):
    queries = landmarks_of([tune(0, 4.0), tune(300, 4.0), tune(5, 4.0)])
    shuffled = np.random.default_rng(0).permutation(len(queries.hash))
    again = Landmarks(queries.hash[shuffled], queries.time[shuffled], queries.clip[shuffled], 3)
    scores = landmark_scores(queries, index)
    np.testing.assert_array_equal(scores, landmark_scores(again, index))
    assert landmark_scores(landmarks_of([tune(300, 4.0)]), index)[0] == scores[1]


def test_cost_is_linear(monkeypatch):
    """Eight times the clips on both sides are eight times the look-ups and finds; of pairs of clips there are 64 times
    as many."""
    rng, matches, work = np.random.default_rng(0), library._matches, []

    def counted(wanted, hashes):
        which, found = matches(wanted, hashes)
        work.append(len(wanted) + len(found))
        return which, found

    def some(clips):
        return Landmarks(rng.integers(0, 2**25, 300 * clips), rng.integers(0, 250, 300 * clips),
                         np.repeat(np.arange(clips), 300), clips)  # fmt: skip

    def work_of(clips):
        work.clear()
        landmark_scores(some(clips), some(clips))
        return sum(work)

    monkeypatch.setattr(library, "_matches", counted)
    assert work_of(100) > 300 * 100
    assert work_of(800) < 9 * work_of(100)
