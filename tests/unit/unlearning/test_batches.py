"""What a step reads: the same whatever came before it, and the target's values of the very rows that it shows."""

import numpy as np
import pytest
import torch

from noencore.errors import UserError
from noencore.musicgen.loss import set_nll, token_nll
from noencore.unlearning.batches import Batches, hide, partners, remain_indices


@pytest.fixture
def batches(forget, remain, values, recipe):
    def make(seed=0, **changes):
        return Batches(recipe("x", **{"forget": "npo", "remain": "kl", **changes}), forget, remain, values, seed, 24)

    return make


def nll(model, codes, clips, weights=None):
    return set_nll(*token_nll(model, codes, clips.text, clips.text_mask), weights)


def test_a_step_is_the_same_whenever_it_is_asked_for(batches):
    one, other = batches(), batches()
    other.at(5)
    for step in (0, 3):
        a, b = one.at(step), other.at(step)
        assert (a.forget.ids, a.partner.ids, a.remain.ids) == (b.forget.ids, b.partner.ids, b.remain.ids)
        assert torch.equal(a.random_codes, b.random_codes)


def test_another_seed_draws_other_clips_partners_and_tokens(batches):
    a, b = batches(0).at(0), batches(1).at(0)
    assert a.forget.ids != b.forget.ids
    assert a.remain.ids != b.remain.ids
    assert not torch.equal(a.random_codes, b.random_codes)
    assert not torch.equal(batches(0).at(0).random_codes, batches(0).at(1).random_codes)


@pytest.mark.parametrize(("size", "batch"), [(5, 4), (5, 5), (5, 12), (1, 3)])
def test_remain_batches_are_full_and_use_every_clip_as_often(size, batch):
    drawn = np.concatenate([remain_indices(size, batch, step, 0) for step in range(size)])
    assert len(drawn) == size * batch
    assert (np.bincount(drawn, minlength=size) == batch).all()


def test_a_remain_batch_has_its_own_size(batches):
    batch = batches(remain_batch=3).at(0)
    assert (len(batch.forget), len(batch.remain)) == (4, 3)
    assert [(len(part.forget), len(part.remain)) for part in batch.split(4)] == [(1, 1), (1, 1), (1, 1), (1, 0)]


def test_without_a_remain_loss_no_remain_clip_is_read(batches):
    assert batches(remain="none").at(0).remain is None


@pytest.mark.parametrize("p_uncond", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("weights", [None, (1.0, 0.0, 0.0, 2.0)])
def test_the_values_are_what_the_target_says_of_the_rows_as_they_are_shown(batches, make_target, p_uncond, weights):
    target, changes = make_target(), {} if weights is None else {"codebook_weights": weights}
    w = None if weights is None else torch.tensor(weights)
    for step in range(3):
        batch = batches(forget="dpo", remain="constraint", p_uncond=p_uncond, **changes).at(step)
        given = batch.forget_values
        shown = nll(target, batch.forget.codes, batch.forget, w)
        torch.testing.assert_close(given["nll"], shown, rtol=1e-4, atol=1e-5)
        alternative = nll(target, given["codes"], batch.forget, w)
        torch.testing.assert_close(given["codes_nll"], alternative, rtol=1e-4, atol=1e-5)


def test_the_start_is_the_mean_over_all_clips(batches, make_target, forget, remain):
    target, batch = make_target(), batches(forget="simnpo", remain="constraint").at(0)
    for clips, values in ((forget, batch.forget_values), (remain, batch.remain_values)):
        expected = nll(target, clips.codes, clips).mean().expand(4)
        torch.testing.assert_close(values["start"], expected, rtol=1e-4, atol=1e-5)


def test_captions_are_hidden_in_a_share_of_the_rows(batches):
    shares = []
    for p_uncond in (0.0, 0.3, 1.0):
        drawn = [batches(p_uncond=p_uncond).at(step) for step in range(60)]
        for side in ("forget", "partner", "remain"):
            hidden = torch.cat([~getattr(batch, side).text_mask.any(1) for batch in drawn])
            shares.append((p_uncond, hidden.double().mean().item()))
    assert all(abs(share - wanted) <= (0.12 if wanted == 0.3 else 0) for wanted, share in shares)


def test_hiding_leaves_the_clips_as_they_were(forget):
    before = forget.text_mask.clone()
    shown = hide(forget, np.array([True, False] * 3))
    assert torch.equal(forget.text_mask, before)
    assert not shown.text_mask[::2].any()
    assert torch.equal(shown.text_mask[1::2], before[1::2])


def test_every_forget_clip_has_one_partner_a_seed():
    assert partners(6, 5, 0).tolist() == partners(6, 5, 0).tolist() != partners(6, 5, 1).tolist()
    assert set(partners(1000, 5, 0).tolist()) == set(range(5))


def test_missing_reference_values_are_named(forget, remain, recipe):
    with pytest.raises(UserError, match="recipe x: needs the target's forget_nll, which is not there"):
        Batches(recipe("npo"), forget, remain, {}, 0, 24)


def test_weights_for_other_codebooks_are_refused(forget, remain, recipe):
    with pytest.raises(UserError, match=r"recipes\.x\.codebook_weights: 2 weights for 4 codebooks; give one each"):
        Batches(recipe("gradient_ascent", codebook_weights=[1, 1]), forget, remain, {}, 0, 24)
