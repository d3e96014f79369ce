"""A released package in our engine is that package in audiocraft: text, codes, logits, loss, tokens, and after an edit.

At toy size, and at the size of musicgen-small with `pytest -m large`.
"""

import numpy as np
import pytest
import torch
from beside_audiocraft import conditions, get_pretrained, text_states
from standins import CAPTIONS, ENCODEC, SMALL, TOY, make_home, offline_hub, point_to
from torch.nn import functional as F

from noencore.codec import ReleasedCodec
from noencore.musicgen.decode import generate
from noencore.musicgen.loss import set_nll, token_nll
from noencore.musicgen.released import load_released, save_released
from noencore.text import T5Encoder

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
SCORE = {"rtol": 0, "atol": 1e-5}  # nats
FRAMES = 40

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module", params=["toy", pytest.param("small", marks=pytest.mark.large)])
def package(request, tmp_path_factory):
    home = tmp_path_factory.mktemp(request.param)
    package = make_home(home, {"toy": TOY, "small": SMALL}[request.param])
    with offline_hub(home):
        yield package


@pytest.fixture(scope="module")
def theirs(package):
    return get_pretrained(package)


@pytest.fixture(scope="module")
def ours(package):
    return load_released(package)


@pytest.fixture(scope="module")
def encoder(package):
    return T5Encoder("t5-base", dtype=torch.float32)


@pytest.fixture(scope="module")
def captions(encoder):
    """Two captions of the same length: audiocraft does not mask the keys of cross-attention."""
    lengths = [len(encoder.tokenizer(caption)["input_ids"]) for caption in CAPTIONS]
    return [CAPTIONS[0], CAPTIONS[lengths.index(lengths[0], 100)]]


@pytest.fixture(scope="module")
def codes(ours):
    return torch.randint(ours.config.card, (2, 4, FRAMES), generator=torch.Generator().manual_seed(2))


@torch.no_grad()
def our_score(model, codes, encoder, captions):
    """[B]: the mean of the codebook means, in nats."""
    return set_nll(*token_nll(model, codes, *text_states(encoder, captions)))


@torch.no_grad()
def their_score(musicgen, codes, captions):
    output = musicgen.lm.compute_predictions(codes, conditions(captions))
    per_codebook = [
        [F.cross_entropy(logits[m], targets[m]) for logits, targets, m in zip(*clip)]
        for clip in zip(output.logits, codes, output.mask)
    ]
    return torch.tensor(per_codebook).mean(1)


@torch.no_grad()
def test_text_states(theirs, ours, encoder):
    """Of captions alone, and as audiocraft pads them; before the projection and after it."""
    captions = ["An air.", CAPTIONS[0], "", CAPTIONS[-1]]
    conditioner = theirs.lm.condition_provider.conditioners["description"]
    inputs = conditioner.tokenize(captions)
    hidden, (projected, mask) = conditioner.t5(**inputs).last_hidden_state, conditioner(inputs)
    text, known = text_states(encoder, captions)
    assert torch.equal(known, mask.bool())
    torch.testing.assert_close(text[known], hidden[known], **CLOSE)
    torch.testing.assert_close(ours.project_text(text, known)[0], projected, **CLOSE)
    for caption in captions[:2]:
        (alone,) = conditioner.t5(**conditioner.tokenize([caption])).last_hidden_state
        assert torch.equal(encoder.encode(caption), alone)


@pytest.mark.parametrize("form", ["file", "pointer"])
def test_codes_and_what_they_decode_to(package, tmp_path, form):
    directory = package
    if form == "pointer":
        directory = tmp_path / "package"
        save_released(load_released(package), package, directory)
        point_to(directory, ENCODEC)
    theirs, codec = get_pretrained(directory).compression_model, ReleasedCodec(directory, codebooks=4)
    draw = np.random.default_rng(3)
    wave = (draw.normal(0, 1, 64000) * np.repeat(draw.uniform(0, 1, 100), 640)).astype(np.float32)
    codes, scale = theirs.encode(torch.from_numpy(wave)[None, None])
    assert scale is None
    assert all(len(row.unique()) > 5 for row in codes[0])
    assert torch.equal(codec.encode(wave).long(), codes[0])
    with torch.no_grad():
        assert np.array_equal(codec.decode(codes[0]), theirs.decode(codes)[0, 0].numpy())
    config = codec.config
    assert (config.sample_rate, config.frame_rate) == (theirs.sample_rate, theirs.frame_rate)
    assert (config.codebooks, config.card) == (theirs.num_codebooks, theirs.cardinality)


@pytest.mark.parametrize("null", [(), (1,), (0, 1)])
@torch.no_grad()
def test_logits(theirs, ours, encoder, captions, codes, null):
    captions = ["" if i in null else caption for i, caption in enumerate(captions)]
    expected = theirs.lm(codes, conditions(captions))
    torch.testing.assert_close(ours(codes, *text_states(encoder, captions)), expected, **CLOSE)


def test_score(theirs, ours, encoder, captions, codes):
    found = our_score(ours, codes, encoder, captions)
    torch.testing.assert_close(found, their_score(theirs, codes, captions), **SCORE)
    assert (found - our_score(ours, codes, encoder, captions[::-1])).abs().max() > 1e-4  # the text counts


def test_padded_text_is_the_caption_alone_in_audiocraft(theirs, ours, encoder, codes):
    captions = ["An air.", CAPTIONS[0]]
    alone = [their_score(theirs, codes[i : i + 1], captions[i : i + 1]) for i in range(2)]
    torch.testing.assert_close(our_score(ours, codes, encoder, captions), torch.cat(alone), **SCORE)


def test_greedy_tokens(theirs, ours, encoder, captions):
    options = {"max_gen_len": 250, "use_sampling": False, "cfg_coef": 3.0}
    expected = theirs.lm.generate(None, conditions(captions), **options)
    assert expected.unique().numel() > 10  # not a fixed point
    assert not torch.equal(expected[0], expected[1])
    assert torch.equal(generate(ours, *text_states(encoder, captions), 250, cfg=3.0), expected)


def test_an_edited_package_scores_as_the_model_in_memory(package, ours, encoder, captions, codes, tmp_path):
    """Scores are taken from the file: it is what others will run."""
    model = load_released(package)
    draw = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in model.parameters():  # by steps of which some are below fp16's
            parameter.mul_(1 + 2e-3 * torch.randn(parameter.shape, generator=draw))
        model.linears[0].weight.mul_(1.2)
    counts = save_released(model, package, tmp_path / "edited")
    assert counts["changed"] > 0.9 * counts["weights"]
    assert counts["undone_by_fp16"] > 0.05 * counts["weights"]

    in_memory = our_score(model, codes, encoder, captions)
    assert torch.equal(our_score(load_released(tmp_path / "edited"), codes, encoder, captions), in_memory)
    theirs = get_pretrained(tmp_path / "edited")
    torch.testing.assert_close(their_score(theirs, codes, captions), in_memory, **SCORE)
    assert (our_score(ours, codes, encoder, captions) - in_memory).abs().max() > 1e-3
