"""The model's equalities: padded = unpadded text, a clip alone = in a batch, null = no cross-attention."""

import pytest
import torch

from noencore.errors import UserError
from noencore.musicgen.model import ModelConfig, MusicGenLM

CONFIG = ModelConfig(dim=32, layers=2, heads=4, card=40, n_q=4, text_dim=24)
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture
def model():
    return MusicGenLM(CONFIG, seed=0)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    sequence = torch.randint(CONFIG.card + 1, (3, CONFIG.n_q, 11), generator=generator)
    text = torch.randn(3, 7, CONFIG.text_dim, generator=generator)
    mask = torch.arange(7) < torch.tensor([[7], [4], [0]])
    return sequence, text, mask


def test_logits_have_the_shape_of_the_sequence(model, batch):
    assert model(*batch).shape == (3, CONFIG.n_q, 11, CONFIG.card)


def test_padding_has_no_influence(model, batch):
    sequence, text, mask = batch
    padded = model(sequence, text, mask)[1:2]
    torch.testing.assert_close(padded, model(sequence[1:2], text[1:2, :4], mask[1:2, :4]), **CLOSE)
    noisy = torch.where(mask[..., None], text, 1e3)
    torch.testing.assert_close(model(sequence, noisy, mask), model(sequence, text, mask), rtol=0, atol=0)


def test_one_clip_alone_is_the_same_clip_in_a_batch(model, batch):
    together = model(*batch)
    for i in range(3):
        torch.testing.assert_close(together[i : i + 1], model(*(x[i : i + 1] for x in batch)), **CLOSE)


def test_a_null_row_has_no_cross_attention(model, batch):
    sequence, text, mask = batch
    states, keys = model.project_text(text, mask)
    attention = model.transformer.layers[0].cross_attention
    (q,) = attention.project(torch.randn(3, 11, CONFIG.dim), 0, 1)
    assert attention.attend(q, *attention.project(states, 1, 3), mask=keys)[2].abs().max() == 0
    assert model.project_text(text[2:], mask[2:]) == (None, None)
    torch.testing.assert_close(model(sequence, text, mask)[2:], model(sequence[2:], text[2:], mask[2:]), **CLOSE)


def test_the_future_has_no_influence(model, batch):
    sequence, text, mask = batch
    changed = sequence.clone()
    changed[..., 6:] = 0
    before, after = model(sequence, text, mask), model(changed, text, mask)
    torch.testing.assert_close(before[:, :, :6], after[:, :, :6], **CLOSE)
    assert not torch.equal(before[:, :, 6:], after[:, :, 6:])


def test_gradients_are_finite_in_a_mixed_batch(model, batch):
    model(*batch).square().mean().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    assert all(parameter.grad.abs().max() > 0 for parameter in model.parameters())


def test_checkpointed_activations_are_computed_again_to_the_same_gradients(model, batch):
    calls = []
    model.transformer.layers[1].linear1.register_forward_hook(lambda *_: calls.append(1))
    gradients = []
    for again in (False, True):
        model.checkpoint_activations = again
        model.zero_grad()
        model(*batch).square().mean().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    assert all(torch.equal(*pair) for pair in zip(*gradients, strict=True))
    assert len(calls) == 3
    with torch.no_grad():
        model(*batch)
    assert len(calls) == 4


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_positions_stay_fp32(model, dtype):
    table = model.positions
    model.to(dtype)
    assert model.out_norm.weight.dtype == dtype
    assert torch.equal(model.positions, table)
    assert model.positions.dtype == torch.float32
    assert torch.equal(model.float().positions, table)
    assert "positions" not in model.state_dict()


def test_the_seed_decides_the_weights_and_leaves_the_global_generator_out():
    torch.manual_seed(5)
    one = MusicGenLM(CONFIG, seed=3).state_dict()
    torch.manual_seed(6)
    two, other = MusicGenLM(CONFIG, seed=3).state_dict(), MusicGenLM(CONFIG, seed=4).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["emb.0.weight"], other["emb.0.weight"])


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match="dim 30 is not a multiple"):
        ModelConfig(dim=30, layers=1, heads=4, card=8, n_q=4, text_dim=8)
    with pytest.raises(UserError, match="layers is 0"):
        ModelConfig(dim=32, layers=0, heads=4, card=8, n_q=4, text_dim=8)


def test_a_sequence_beyond_the_position_table_is_refused(model, batch):
    with pytest.raises(ValueError, match="position table"):
        model(torch.zeros(1, CONFIG.n_q, 2049, dtype=torch.long), batch[1][:1], batch[2][:1])
