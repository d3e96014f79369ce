"""Reference values are what the target says, and nobody else's."""

import numpy as np
import pytest
import torch

from noencore.errors import UserError
from noencore.musicgen.loss import clip_nll, delay, token_nll
from noencore.unlearning import reference
from noencore.unlearning.batches import hide, partners
from noencore.unlearning.objectives import hidden_states
from noencore.unlearning.recipes import FORGET, REMAIN
from noencore.unlearning.reference import collapsed, load_reference, reference_values, save_reference


def without(clips):
    return hide(clips, np.ones(len(clips), dtype=bool))


def test_every_kind_that_a_recipe_may_read_is_there():
    asked = {kind for table in (FORGET, REMAIN) for part in table.values() for kind in part.reads}
    filled = {kind.format(caption=caption) for kind in asked for caption in ("other", "null")}
    assert filled | {"remain_null"} == set(reference.KINDS)


@pytest.mark.parametrize("name", ["forget", "remain"])
def test_nll_of_every_clip_and_codebook(values, make_target, forget, remain, name):
    clips, target = {"forget": forget, "remain": remain}[name], make_target()
    for condition, captions in (("caption", clips), ("null", without(clips))):
        expected = clip_nll(*token_nll(target, clips.codes, captions.text, captions.text_mask))
        torch.testing.assert_close(values[f"{name}_nll"][condition], expected, rtol=1e-4, atol=1e-5)
    norms = [layer[:, 1:].norm(dim=-1).mean() for layer in hidden_states(target, clips, 2)]
    torch.testing.assert_close(values[f"{name}_nll"]["norms"], torch.stack(norms), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["forget_caption", "forget_null", "forget_other", "remain_caption", "remain_null"])
def test_a_distribution_has_its_likeliest_entries_the_clip_s_own_and_the_rest(
    values, make_target, forget, remain, kind
):
    name, condition = kind.split("_")
    clips, stored = {"forget": forget, "remain": remain}[name], values[kind]
    other = remain.take(partners(len(forget), len(remain), 0)) if condition == "other" else None
    captions = {"caption": clips, "null": without(clips), "other": other}[condition]
    logp = make_target()(delay(clips.codes, 24)[:, :, :-1], captions.text, captions.text_mask).log_softmax(-1)
    k = stored["index"].shape[-1]
    for q in range(4):
        for t in range(12 - q):
            expected, index = logp[:, q, t + q], stored["index"][:, q, t].long()
            own = clips.codes[:, q, t]
            assert all(len(set(row)) == k for row in index.tolist())
            assert (index == own[:, None]).any(1).all()
            torch.testing.assert_close(stored["logp"][:, q, t], expected.gather(1, index), rtol=1e-4, atol=1e-4)
            likeliest = expected.topk(k - 1).values  # in order, but for entries that are as likely to the last digits
            torch.testing.assert_close(expected.gather(1, index[:, : k - 1]), likeliest, rtol=1e-4, atol=1e-5)
            if k < 24:
                mass = stored["logp"][:, q, t].exp().sum(1) + stored["rest"][:, q, t].exp()
                torch.testing.assert_close(mass, torch.ones(len(clips)), rtol=1e-5, atol=1e-5)


def test_alternatives_are_other_clips_that_the_target_finds_likely(values, make_target, forget):
    stored, target = values["alternatives"], make_target()
    codes = stored["codes"].long()
    assert codes.shape == forget.codes.shape
    assert stored["codes"].dtype == torch.int16
    assert (codes != forget.codes).any((1, 2)).all()
    for condition, captions in (("caption", forget), ("null", without(forget))):
        expected = clip_nll(*token_nll(target, codes, captions.text, captions.text_mask))
        torch.testing.assert_close(stored[condition], expected, rtol=1e-4, atol=1e-5)
    assert stored["caption"].mean() < values["forget_nll"]["caption"].mean()


def test_a_stuck_alternative_is_drawn_again(make_target, forget, remain, monkeypatch):
    tries, generate = [], reference.generate

    def stuck_at_first(model, text, mask, frames, seeds, **options):
        tries.append(len(seeds))
        codes = generate(model, text, mask, frames, seeds=seeds, **options)
        return torch.zeros_like(codes) if len(tries) == 1 else codes

    monkeypatch.setattr(reference, "generate", stuck_at_first)
    codes = reference_values("alternatives", make_target(), forget, remain)["codes"]
    assert tries[:2] == [6, 6]
    assert (codes[:, 0].float().std(1) > 0).all()


def test_what_counts_as_collapsed():
    lively = torch.arange(4 * 32).view(4, 32) % 24
    assert not collapsed(lively, lively)
    assert collapsed(torch.zeros(4, 32, dtype=torch.long), lively)
    assert not collapsed(torch.zeros(4, 32, dtype=torch.long), torch.zeros(4, 32, dtype=torch.long))


def test_the_same_again(values, make_target, forget, remain):
    for kind in ("alternatives", "forget_nll"):
        again = reference_values(kind, make_target(), forget, remain)
        assert all(torch.equal(again[key], values[kind][key]) for key in again)


def test_a_file_is_of_its_clips_alone(values, forget, tmp_path):
    path = tmp_path / "forget_nll.safetensors"
    save_reference(values["forget_nll"], forget.ids, path)
    loaded = load_reference(path, forget.ids)
    assert all(torch.equal(loaded[key], values["forget_nll"][key]) for key in loaded)
    with pytest.raises(UserError, match="not of the clips of this split; delete it and run again"):
        load_reference(path, forget.ids[::-1])
