"""The delay pattern and the loss, by hand on small cases."""

import pytest
import torch

from noencore.musicgen import loss
from noencore.musicgen.loss import clip_nll, delay, set_nll, token_nll, token_scores
from noencore.musicgen.model import ModelConfig, MusicGenLM

CONFIG = ModelConfig(dim=32, layers=1, heads=2, card=20, n_q=4, text_dim=16)


@pytest.fixture
def model():
    return MusicGenLM(CONFIG, seed=0)


@pytest.fixture
def clips():
    generator = torch.Generator().manual_seed(2)
    codes = torch.randint(CONFIG.card, (2, 4, 9), generator=generator)
    return (
        codes,
        torch.randn(2, 5, 16, generator=generator),
        torch.tensor([[True] * 5, [True] * 3 + [False] * 2]),
    )


def test_delay_by_hand():
    codes = torch.tensor([[[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]])
    assert delay(codes, 99).tolist() == [[[99, 1, 2, 3, 4], [99, 99, 5, 6, 7], [99, 99, 99, 9, 10]]]


def test_each_token_is_scored_by_the_step_before_it(model, clips):
    codes, text, mask = clips
    nll, valid = token_nll(model, codes, text, mask)
    logp = model(delay(codes, CONFIG.card), text, mask).log_softmax(-1)
    for q in range(4):
        for t in range(9):
            assert valid[q, t] == (t + q < 9)
            # Step s of the sequence holds frame s - 1 - q, so the step before frame t is t + q.
            expected = -logp[torch.arange(2), q, t + q, codes[:, q, t]] if t + q < 9 else torch.zeros(2)
            torch.testing.assert_close(nll[:, q, t], expected, rtol=1e-5, atol=1e-5)


def test_targets_are_scored_and_codes_are_read(model, clips):
    codes, text, mask = clips
    targets = (codes + 7) % CONFIG.card
    nll, valid = token_nll(model, codes, text, mask, targets=targets)
    logp = model(delay(codes, CONFIG.card), text, mask).log_softmax(-1)
    assert nll[1, 2, 3].item() == pytest.approx(-logp[1, 2, 5, targets[1, 2, 3]].item(), rel=1e-5)
    same, _ = token_nll(model, codes, text, mask, targets=codes)
    assert torch.equal(same, token_nll(model, codes, text, mask)[0])
    assert not torch.equal(same[:, valid], nll[:, valid])


def test_ranks_count_the_likelier_tokens(model, clips):
    codes, text, mask = clips
    _, rank, valid = token_scores(model, codes, text, mask)
    logits = model(delay(codes, CONFIG.card), text, mask)
    for q in range(4):
        for t in range(9):
            if not valid[q, t]:
                assert rank[:, q, t].tolist() == [-1, -1]
                continue
            best_first = logits[:, q, t + q].argsort(-1, descending=True)
            expected = (best_first == codes[:, q, t, None]).int().argmax(-1)
            assert rank[:, q, t].tolist() == expected.tolist()
    assert rank.dtype == torch.int32
    assert 0 in rank
    assert rank.max() > 10


def test_scores_are_the_nll_of_the_loss(model, clips):
    nll, rank, valid = token_scores(model, *clips)
    expected, same_valid = token_nll(model, *clips)
    assert torch.equal(nll, expected)
    assert torch.equal(valid, same_valid)
    assert torch.equal(rank >= 0, valid.expand_as(rank))


@pytest.mark.parametrize("rows", [1, 5])
def test_chunks_do_not_change_the_scores(monkeypatch, model, clips, rows):
    nll, rank, _ = token_scores(model, *clips)
    monkeypatch.setattr(loss, "CHUNK", rows * 4 * CONFIG.card)
    torch.testing.assert_close(token_scores(model, *clips)[:2], (nll, rank))


def test_ties_are_not_likelier_and_nan_is_no_match(model, clips):
    for linear in model.linears:
        torch.nn.init.zeros_(linear.weight)
    _, rank, valid = token_scores(model, *clips)
    assert (rank[:, valid] == 0).all()
    for linear in model.linears:
        torch.nn.init.constant_(linear.weight, torch.nan)
    _, rank, valid = token_scores(model, *clips)
    assert (rank[:, valid] == CONFIG.card).all()
    assert (rank[:, ~valid] == -1).all()


def test_means_by_hand():
    nll = torch.tensor([[[1.0, 2.0, 6.0], [4.0, 8.0, 0.0]]])
    valid = torch.tensor([[True, True, True], [True, True, False]])
    assert clip_nll(nll, valid).tolist() == [[3.0, 6.0]]
    assert set_nll(nll, valid).tolist() == [4.5]
    nll[0, 1, 2] = torch.nan
    assert set_nll(nll, valid).tolist() == [4.5]


def test_uniform_logits_cost_the_logarithm_of_the_card(model, clips):
    for linear in model.linears:
        torch.nn.init.zeros_(linear.weight)
    expected = torch.full((2, 4), float(CONFIG.card)).log()
    torch.testing.assert_close(clip_nll(*token_nll(model, *clips)), expected)


def test_gradients_are_finite(model, clips):
    set_nll(*token_nll(model, *clips)).mean().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("rows", [1, 5, 16])
@pytest.mark.parametrize("bf16", [False, True])
def test_chunks_change_neither_the_loss_nor_its_gradients(monkeypatch, model, clips, rows, bf16):
    """18 rows of 4 x 20 logits, `rows` at a time."""

    def values_and_gradients():
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            nll, valid = token_nll(model, *clips)
        set_nll(nll, valid).mean().backward()
        return [nll.detach(), *(parameter.grad for parameter in model.parameters())]

    heads, called = model.heads, []
    monkeypatch.setattr(model, "heads", lambda x: called.append(len(x)) or heads(x))
    whole = values_and_gradients()
    monkeypatch.setattr(loss, "CHUNK", rows * 4 * CONFIG.card)
    chunked = values_and_gradients()
    assert called[0] == 18
    assert max(called[1:]) == rows
    tolerance = {"rtol": 0.05, "atol": 1e-3} if bf16 else {"rtol": 1e-5, "atol": 1e-6}
    torch.testing.assert_close(chunked, whole, **tolerance)


def test_a_small_batch_is_one_chunk_and_its_logits_are_computed_once(monkeypatch, model, clips):
    heads, called = model.heads, []
    monkeypatch.setattr(model, "heads", lambda x: called.append(len(x)) or heads(x))
    set_nll(*token_nll(model, *clips)).mean().backward()
    assert called == [18]


def test_the_loss_is_fp32_under_autocast(model, clips):
    exact = set_nll(*token_nll(model, *clips))
    with torch.autocast("cpu", torch.bfloat16):
        rounded = set_nll(*token_nll(model, *clips))
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, rtol=0.02, atol=0)


def test_a_model_in_fp64_gives_a_loss_in_fp64(model, clips):
    codes, text, mask = clips
    single = token_nll(model, *clips)[0]
    double = token_nll(model.double(), codes, text, mask)[0]
    assert double.dtype == torch.float64
    assert 0 < (double - single).abs().max() < 1e-5


def test_a_clip_shorter_than_the_delay_is_refused(model, clips):
    with pytest.raises(ValueError, match="too short"):
        token_nll(model, clips[0][..., :3], *clips[1:])
