"""Scores: a clip's values are its own, whatever it is scored with."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from noencore.errors import UserError
from noencore.files import read_tensors
from noencore.musicgen.loss import clip_nll, token_nll
from noencore.scores import TokenScores, save_token_scores, token_scores
from noencore.scoring import BATCH, score, wrong_captions
from noencore.tokens import Clips
from noencore.training import mean_nll, without_captions

COUNT = BATCH + 5
FRAMES = 12


@pytest.fixture(scope="module")
def model(make_model):
    return make_model()


@pytest.fixture(scope="module")
def clips(make_clips):
    return make_clips(COUNT)


@pytest.fixture(scope="module")
def wrong():
    """Two other clips for each."""
    index = np.arange(COUNT)[:, None]
    return (index + np.array([3, 10])) % COUNT


@pytest.fixture(scope="module")
def both(model, clips, wrong):
    return score(model, clips, wrong)


@pytest.fixture(scope="module")
def scores(both):
    return both[0]


@pytest.fixture(scope="module")
def tokens(both):
    return both[1]


def table(scores, condition):
    """[N, K] nll of one condition."""
    chosen = scores[scores["condition"] == condition]
    return chosen.pivot(index="clip_id", columns="codebook", values="nll").to_numpy()


def expected(model, codes, captions):
    with torch.no_grad():
        return clip_nll(*token_nll(model, codes, captions.text, captions.text_mask)).numpy()


def test_there_is_one_row_a_clip_condition_and_codebook(scores, clips):
    assert list(scores) == ["clip_id", "condition", "codebook", "nll", "n_tokens"]
    assert len(scores) == COUNT * 4 * 4
    assert list(scores["condition"].unique()) == ["caption", "null", "wrong_0", "wrong_1"]
    assert not scores.duplicated(["clip_id", "condition", "codebook"]).any()
    assert set(scores["clip_id"]) == set(clips.ids)
    assert np.isfinite(scores["nll"]).all()


@pytest.mark.parametrize("count", [1, 3, BATCH])
def test_values_do_not_depend_on_how_many_clips_there_are(model, clips, scores, tokens, count):
    few, few_tokens = score(model, clips.take(range(count)), np.zeros((count, 2), dtype=int))
    for condition in ("caption", "null"):
        np.testing.assert_allclose(table(few, condition), table(scores, condition)[:count], atol=1e-5)
    np.testing.assert_allclose(few_tokens.nll, tokens.nll[:count], atol=1e-5)
    assert (few_tokens.rank == tokens.rank[:count]).all()


def test_the_caption_condition_is_the_loss_of_training(model, clips, scores):
    np.testing.assert_allclose(table(scores, "caption"), expected(model, clips.codes, clips), atol=1e-5)
    np.testing.assert_allclose(table(scores, "caption").mean(1), mean_nll(model, clips).numpy(), atol=1e-5)


def test_the_null_condition_is_no_caption(model, clips, scores):
    bare = without_captions(clips.take(range(COUNT)))
    np.testing.assert_allclose(table(scores, "null"), expected(model, clips.codes, bare), atol=1e-5)
    assert np.abs(table(scores, "null") - table(scores, "caption")).max() > 1e-3


@pytest.mark.parametrize("j", [0, 1])
def test_a_wrong_condition_is_the_score_with_that_caption_as_own(model, clips, wrong, scores, j):
    others = clips.take(wrong[:, j])
    swapped = Clips(clips.ids, clips.codes, others.text, others.text_mask)
    as_own, _ = score(model, swapped, wrong[:, :0])
    np.testing.assert_allclose(table(scores, f"wrong_{j}"), table(as_own, "caption"), atol=1e-5)
    assert np.abs(table(scores, f"wrong_{j}") - table(scores, "caption")).max() > 1e-3


def test_the_caption_condition_is_the_mean_of_its_tokens(scores, tokens, clips):
    valid = tokens.rank >= 0
    assert tokens.ids == clips.ids
    assert (tokens.nll.dtype, tokens.rank.dtype) == (np.float32, np.int32)
    assert (tokens.nll[~valid] == 0).all()
    means = tokens.nll.sum(-1, dtype=np.float64) / valid.sum(-1)
    np.testing.assert_allclose(table(scores, "caption"), means, rtol=1e-6)


def test_token_scores_survive_the_disk(tokens, tmp_path):
    save_token_scores(replace(tokens, weights_sha256="abc"), tmp_path / "a.safetensors")
    read = token_scores(read_tensors(tmp_path / "a.safetensors"))
    assert (read.ids, read.weights_sha256) == (tokens.ids, "abc")
    assert (read.nll == tokens.nll).all()
    assert (read.rank == tokens.rank).all()


def test_token_scores_are_taken_by_clip(tokens):
    some = tokens.take(["clip0-004", "clip0-001"])
    assert (some.nll == tokens.nll[[4, 1]]).all()
    assert (some.rank == tokens.rank[[4, 1]]).all()
    with pytest.raises(UserError, match="no token scores of clip other"):
        tokens.take(["clip0-004", "other"])


def test_something_else_is_no_token_scores():
    with pytest.raises(UserError, match="not token scores; delete"):
        token_scores(({"nll": torch.zeros(1)}, {}))
    with pytest.raises(ValueError, match="do not match"):
        TokenScores(["a"], np.zeros((1, 2, 3)), np.zeros((1, 2, 4)))


def test_scoring_leaves_the_clips_as_they_were(model, make_clips, wrong):
    clips = make_clips(COUNT)
    score(model, clips, wrong)
    assert torch.equal(clips.text_mask, make_clips(COUNT).text_mask)


def test_a_late_codebook_has_as_many_tokens_fewer(model, clips, scores):
    _, valid = token_nll(model, clips.codes, clips.text, clips.text_mask)
    counts = scores.groupby("codebook")["n_tokens"].unique()
    assert [list(count) for count in counts] == [[n] for n in valid.sum(1).tolist()]
    assert [list(count) for count in counts] == [[FRAMES - q] for q in range(4)]


CAPTIONS = np.array(["a", "b", "c", "a", "x", "y", "y", "z"])
SETS = np.array(["forget"] * 4 + ["remain"] * 4)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_wrong_caption_is_another_of_the_same_set(count):
    for seed in range(20):
        drawn = wrong_captions(CAPTIONS, SETS, count, seed)
        assert drawn.shape == (8, count)
        assert (CAPTIONS[drawn] != CAPTIONS[:, None]).all()
        assert (SETS[drawn] == SETS[:, None]).all()


def test_wrong_captions_differ_where_there_are_enough():
    for seed in range(20):
        drawn = CAPTIONS[wrong_captions(CAPTIONS, SETS, 2, seed)]
        assert (drawn[:, 0] != drawn[:, 1]).all()


def test_wrong_captions_follow_from_the_seed():
    one, again, other = (wrong_captions(CAPTIONS, SETS, 2, seed) for seed in (0, 0, 1))
    assert one.tolist() == again.tolist() != other.tolist()


def test_forget_and_holdout_share_their_wrong_captions():
    captions = np.array([f"caption {i}" for i in range(12)])
    sets = np.array(["forget"] * 8 + ["holdout"] * 2 + ["remain"] * 2)
    drawn = np.concatenate([wrong_captions(captions, sets, 4, seed)[:10] for seed in range(20)])
    assert set(drawn.ravel()) == set(range(10))
    of_holdout = wrong_captions(captions, sets, 4, seed=0)[8]
    assert len(set(of_holdout)) == 4


def test_a_set_with_one_caption_is_refused():
    with pytest.raises(UserError, match="set remain has one caption only"):
        wrong_captions(np.array(["a", "b", "x", "x"]), np.array(["forget"] * 2 + ["remain"] * 2), 1, 0)
