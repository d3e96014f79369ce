"""Our model, loss and greedy decoding equal audiocraft's own, and the weights go both ways."""

import logging
import os

import pytest
import torch
from torch.nn import functional as F

from benchmarks.peers import audiocraft_lm, conditions, stored_states
from noencore.musicgen import decode
from noencore.musicgen import loss as our_loss
from noencore.musicgen.decode import generate
from noencore.musicgen.loss import set_nll, token_nll
from noencore.musicgen.model import ModelConfig, MusicGenLM

os.environ["HF_HUB_OFFLINE"] = "1"
logging.getLogger("xformers").setLevel(logging.ERROR)  # its CUDA extensions do not load, and none is used

CONFIG = ModelConfig(dim=32, layers=3, heads=4, card=60, n_q=4, text_dim=24)
CLIPS, FRAMES, LENGTH = 2, 250, 9
CLOSE = {"rtol": 1e-5, "atol": 1e-5}

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def text():
    """States of a caption a clip, without padding: audiocraft does not mask the keys of cross-attention."""
    return 3 * torch.randn(CLIPS, LENGTH, CONFIG.text_dim, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def mask():
    return torch.ones(CLIPS, LENGTH, dtype=torch.bool)


@pytest.fixture(scope="module")
def codes():
    return torch.randint(CONFIG.card, (CLIPS, CONFIG.n_q, 40), generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def reference(text):
    """audiocraft's LM in the released configuration; its conditioner looks captions "0", "1" up in `text`."""
    torch.manual_seed(0)
    return audiocraft_lm(CONFIG, stored_states(text, CONFIG.dim))


@pytest.fixture(scope="module")
def model(reference):
    model = MusicGenLM(CONFIG)
    model.load_state_dict(reference.state_dict())
    return model


def test_weights_go_back_to_audiocraft(reference, model, codes, text, mask):
    ours = MusicGenLM(CONFIG, seed=7)
    before = {name: tensor.clone() for name, tensor in reference.state_dict().items()}
    reference.load_state_dict(ours.state_dict())
    theirs = reference(codes, conditions("01"))
    reference.load_state_dict(before)
    torch.testing.assert_close(ours(codes, text, mask), theirs, **CLOSE)


def test_initialisation_has_audiocrafts_deviations(reference):
    ours = MusicGenLM(CONFIG, seed=0).state_dict()
    for name, theirs in reference.state_dict().items():
        assert theirs.shape == ours[name].shape
        if theirs.dim() == 2:
            assert ours[name].std() == pytest.approx(theirs.std().item(), rel=0.1), name
            # Three deviations of a normal, or the root of three of a uniform.
            assert ours[name].abs().max() == pytest.approx(theirs.abs().max().item(), rel=0.25), name
        elif "output_proj" not in name:
            assert torch.equal(ours[name], theirs), name


@pytest.mark.parametrize("captions", [["0", "1"], ["0", None], [None, None]])
def test_logits(reference, model, codes, text, captions):
    mask = torch.tensor([[caption is not None] * LENGTH for caption in captions])
    with torch.no_grad():
        torch.testing.assert_close(model(codes, text, mask), reference(codes, conditions(captions)), **CLOSE)


@pytest.mark.parametrize("chunk", [our_loss.CHUNK, 7 * CONFIG.n_q * CONFIG.card])
def test_loss_and_its_gradient(monkeypatch, reference, model, codes, text, mask, chunk):
    """Whole, and in chunks of 7 of the 80 steps."""
    monkeypatch.setattr(our_loss, "CHUNK", chunk)
    output = reference.compute_predictions(codes, conditions("01"))
    theirs = torch.stack(
        [F.cross_entropy(output.logits[:, q][m], codes[:, q][m]) for q, m in enumerate(output.mask.unbind(1))]
    ).mean()
    nll, valid = token_nll(model, codes, text, mask)
    assert torch.equal(valid.expand_as(output.mask), output.mask)
    ours = set_nll(nll, valid).mean()
    torch.testing.assert_close(ours, theirs, **CLOSE)

    expected = dict(zip(dict(reference.named_parameters()), torch.autograd.grad(theirs, reference.parameters())))
    found = dict(zip(dict(model.named_parameters()), torch.autograd.grad(ours, model.parameters())))
    assert expected.keys() == found.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, **CLOSE, msg=name)


@pytest.mark.parametrize("start", [0, 40])
@pytest.mark.parametrize("packed_from", [decode.PACKED_FROM, 1])
def test_greedy_tokens(monkeypatch, reference, model, codes, text, mask, start, packed_from):
    """In PyTorch's layout of the weights, and in oneDNN's, which larger models get."""
    monkeypatch.setattr(decode, "PACKED_FROM", packed_from)
    prompt = codes[..., :start] if start else None
    theirs = reference.generate(prompt, conditions("01"), max_gen_len=FRAMES, use_sampling=False)
    assert theirs.unique().numel() > 10  # not a fixed point
    assert torch.equal(generate(model, text, mask, FRAMES, prompt=prompt), theirs)


def test_greedy_tokens_after_prompts_of_different_lengths(reference, model, codes, text, mask):
    together = generate(model, text, mask, 80, prompt=[codes[0, :, :40], codes[1, :, :9]])
    for i, start in enumerate((40, 9)):
        prompt = codes[i : i + 1, :, :start]
        theirs = reference.generate(prompt, conditions(str(i)), max_gen_len=80, use_sampling=False)
        assert torch.equal(together[i : i + 1], theirs)


def test_the_nucleus_is_theirs(reference):
    """The tokens that may be drawn: 4000 draws of each engine from the same logits, of which a few stand out."""
    from audiocraft.utils.utils import sample_top_p

    torch.manual_seed(0)
    logits = torch.tensor([4.0, 3.5, 3.0, 2.0, 1.0, *[0.0] * 15])
    theirs = sample_top_p(logits.softmax(-1).expand(4000, 1, 20).clone(), p=0.8)
    ours = decode._draw(logits.expand(4000, 1, 20), 20, 0.8, torch.rand(4000, 1))
    shares = [tokens.flatten().bincount(minlength=20) / 4000 for tokens in (ours, theirs)]
    assert ours.unique().tolist() == theirs.unique().tolist() == [0, 1, 2]
    torch.testing.assert_close(*shares, rtol=0, atol=0.04)
