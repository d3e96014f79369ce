"""Cached decoding against plain loops over the whole sequence."""

import pytest
import torch

from noencore.musicgen import decode
from noencore.musicgen.decode import Decoder, generate
from noencore.musicgen.loss import delay
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


@pytest.mark.parametrize("sampling", [{}, SAMPLING, {**SAMPLING, "top_k": None, "top_p": 0.6}])
@pytest.mark.parametrize("cfg", [1.0, 3.0])
def test_prompts_of_different_lengths_are_continued_as_if_alone(model, text, prompt, sampling, cfg):
    prompts = [prompt[0], prompt[1, :, :0], prompt[2, :, :3]]
    together = generate(model, *text, FRAMES, prompt=prompts, cfg=cfg, **sampling)
    for i, own in enumerate(prompts):
        assert torch.equal(together[i, :, : own.shape[-1]], own)
        seed = {**sampling, "seeds": [sampling["seeds"][i]]} if sampling else {}
        row = slice(i, i + 1)
        alone = generate(model, text[0][row], text[1][row], FRAMES, prompt=own[None], cfg=cfg, **seed)
        assert torch.equal(together[row], alone)


def test_padding_has_no_influence(model, text):
    """Padded with noise: two captions of three states each, among seven."""
    states, mask = text[0][:2, :3], torch.ones(2, 3, dtype=torch.bool)
    noise = 100 * torch.randn(2, 4, CONFIG.text_dim, generator=torch.Generator().manual_seed(3))
    padded = torch.cat([states, noise], dim=1), torch.arange(7).expand(2, 7) < 3
    assert torch.equal(generate(model, *padded, FRAMES), generate(model, states, mask, FRAMES))


def test_steps_give_the_logits_of_the_whole_sequence(model, text, prompt):
    sequence = delay(prompt, CONFIG.card)
    with torch.inference_mode():
        decoder = Decoder(model, *text, rows=3, steps=8)
        steps = [decoder.step(sequence[:, :, :3]), *(decoder.step(sequence[:, :, s : s + 1]) for s in range(3, 8))]
        whole = model(sequence, *text)[:, :, 2:]
    torch.testing.assert_close(torch.stack(steps, dim=2), whole, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_layout_of_a_matrix_does_not_change_its_product(monkeypatch, model, text, prompt, dtype):
    """Wide matrices are laid out anew for steps: force that on narrow ones."""
    model = MusicGenLM(CONFIG, seed=0).to(dtype)
    plain = generate(model, *text, FRAMES, prompt=prompt)
    monkeypatch.setattr(decode, "PACKED_FROM", 1)
    torch.testing.assert_close(generate(model, *text, FRAMES, prompt=prompt), plain)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_weights_decode_at_fp32_positions(text, dtype):
    """At step 1500, where bf16 positions would be off by a half: close to the same weights in fp32."""
    half = MusicGenLM(CONFIG, seed=0).to(dtype)
    assert half.positions.dtype == torch.float32
    rounded = MusicGenLM(CONFIG)
    rounded.load_state_dict({name: tensor.float() for name, tensor in half.state_dict().items()})
    sequence = torch.full((3, 4, 1500), CONFIG.card)
    with torch.inference_mode():
        found = Decoder(half, *text, rows=3, steps=1500).step(sequence)
        expected = Decoder(rounded, *text, rows=3, steps=1500).step(sequence)
        spread = (expected[:, :, 1:] - expected[:, :, :-1]).abs().max()
    assert found.dtype == torch.float32
    assert (found - expected).abs().max() < 0.02 * spread


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


@pytest.mark.parametrize("top_k", [None, 8])
@pytest.mark.parametrize("top_p", [0.3, 0.8])
def test_draws_follow_the_nucleus(model, text, top_k, top_p):
    """The first token of codebook 0, over 2000 seeds: the fewest of the likeliest tokens with a share top_p."""
    states, mask = (x[:1].expand(2000, *x.shape[1:]) for x in text)
    sampling = {"cfg": 1.0, "temperature": 0.7, "top_k": top_k, "top_p": top_p, "seeds": range(2000)}
    codes = generate(model, states, mask, 1, **sampling)[:, 0, 0]
    with torch.no_grad():
        logits = model(torch.full((1, 4, 1), CONFIG.card), text[0][:1], text[1][:1])[0, 0, 0]
    top = logits.topk(top_k or CONFIG.card)
    shares = (top.values / 0.7).softmax(-1)
    size = next(n for n in range(1, len(shares) + 1) if shares[:n].sum() >= top_p)
    assert torch.isin(codes, top.indices[:size]).all()
    share = (codes[:, None] == top.indices[:size]).float().mean(0)
    torch.testing.assert_close(share, shares[:size] / shares[:size].sum(), rtol=0, atol=0.04)


def test_the_whole_mass_is_no_nucleus(model, text):
    drawn = generate(model, *text, FRAMES, **{**SAMPLING, "top_p": 1.0})
    assert torch.equal(drawn, generate(model, *text, FRAMES, **SAMPLING))


def test_what_cannot_be_done_is_refused(model, text, prompt):
    with pytest.raises(ValueError, match="up to 7 frames for 3 clips of 7"):
        generate(model, *text, 7, prompt=prompt)
    with pytest.raises(ValueError, match="2 prompts"):
        generate(model, *text, FRAMES, prompt=prompt[:2])
    with pytest.raises(ValueError, match="needs 3 seeds"):
        generate(model, *text, FRAMES, top_k=5)
    with pytest.raises(ValueError, match="needs 3 seeds"):
        generate(model, *text, FRAMES, top_p=0.5, seeds=[1])
