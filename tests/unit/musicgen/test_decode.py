"""Cached decoding against plain loops over the whole sequence."""

import pytest
import torch

from noencore.musicgen.decode import generate
from noencore.musicgen.model import ModelConfig, MusicGenLM

CONFIG = ModelConfig(dim=32, layers=2, heads=4, card=50, n_q=4, text_dim=16)
FRAMES = 24
SAMPLING = {"temperature": 1.3, "top_k": 20, "seeds": [5, 6, 7]}


@pytest.fixture(scope="module")
def model():
    return MusicGenLM(CONFIG, seed=0)


@pytest.fixture(scope="module")
def text():
    states = 3 * torch.randn(3, 6, CONFIG.text_dim, generator=torch.Generator().manual_seed(1))
    return states, torch.arange(6) < torch.tensor([[6], [3], [0]])


@pytest.fixture(scope="module")
def prompt():
    return torch.randint(CONFIG.card, (3, 4, 7), generator=torch.Generator().manual_seed(2))


@torch.no_grad()
def uncached(model, text, mask, frames, cfg, prompt):
    """Greedy codes by a full forward pass a step."""
    known = -torch.ones(len(text), 4, frames, dtype=torch.long)
    if prompt is not None:
        known[..., : prompt.shape[-1]] = prompt
    for step in range(frames + 3):
        sequence = torch.full((len(text), 4, step + 1), CONFIG.card)
        for q in range(4):
            for s in range(q + 1, step + 1):
                if s - 1 - q < frames:
                    sequence[:, q, s] = known[:, q, s - 1 - q]
        null = model(sequence, text, torch.zeros_like(mask))[:, :, -1]
        token = (null + cfg * (model(sequence, text, mask)[:, :, -1] - null)).argmax(-1)
        for q in range(4):
            t = step - q
            if 0 <= t < frames:
                known[:, q, t] = torch.where(known[:, q, t] < 0, token[:, q], known[:, q, t])
    return known


@pytest.mark.parametrize("cfg", [1.0, 3.0])
@pytest.mark.parametrize("prompted", [False, True])
def test_cached_is_uncached(model, text, prompt, cfg, prompted):
    prompt = prompt if prompted else None
    expected = uncached(model, *text, FRAMES, cfg, prompt)
    assert torch.equal(generate(model, *text, FRAMES, prompt=prompt, cfg=cfg), expected)


@pytest.mark.parametrize("sampling", [{}, SAMPLING])
def test_a_clip_does_not_depend_on_its_batch(model, text, prompt, sampling):
    together = generate(model, *text, FRAMES, prompt=prompt, **sampling)
    for i, length in enumerate([6, 3, 6]):
        own = {**sampling, "seeds": [sampling["seeds"][i]]} if sampling else {}
        row = slice(i, i + 1)
        alone = generate(model, text[0][row, :length], text[1][row, :length], FRAMES, prompt=prompt[row], **own)
        assert torch.equal(together[row], alone)


@pytest.mark.parametrize("sampling", [{}, SAMPLING])
def test_the_prompt_is_kept(model, text, prompt, sampling):
    codes = generate(model, *text, FRAMES, prompt=prompt, **sampling)
    assert codes.shape == (3, 4, FRAMES)
    assert torch.equal(codes[..., :7], prompt)
    assert codes.min() >= 0
    assert codes.max() < CONFIG.card


def test_seeds_decide_the_draw(model, text):
    codes = generate(model, *text, FRAMES, **SAMPLING)
    assert torch.equal(codes, generate(model, *text, FRAMES, **SAMPLING))
    assert not torch.equal(codes, generate(model, *text, FRAMES, **{**SAMPLING, "seeds": [8, 9, 10]}))


def test_drawing_among_one_is_greedy(model, text):
    drawn = generate(model, *text, FRAMES, top_k=1, seeds=[0, 0, 0])
    assert torch.equal(drawn, generate(model, *text, FRAMES))


def test_draws_follow_the_top_k_distribution(model, text):
    """The first token of codebook 0, over 2000 seeds, against the softmax that the model gives."""
    states, mask = (x[:1].expand(2000, *x.shape[1:]) for x in text)
    codes = generate(model, states, mask, 1, cfg=1.0, temperature=0.7, top_k=5, seeds=range(2000))[:, 0, 0]
    with torch.no_grad():
        logits = model(torch.full((1, 4, 1), CONFIG.card), text[0][:1], text[1][:1])[0, 0, 0]
    top = logits.topk(5)
    expected = (top.values / 0.7).softmax(-1)
    share = (codes[:, None] == top.indices).float().mean(0)
    assert torch.isin(codes, top.indices).all()
    torch.testing.assert_close(share, expected, rtol=0, atol=0.04)


def test_what_cannot_be_done_is_refused(model, text, prompt):
    with pytest.raises(ValueError, match="leaves nothing"):
        generate(model, *text, 7, prompt=prompt)
    with pytest.raises(ValueError, match="needs 3 seeds"):
        generate(model, *text, FRAMES, top_k=5)
