"""The network of our own codec is audiocraft's: the same codes and the same sound."""

import numpy as np
import pytest
import torch

from benchmarks.peers import own_codec
from noencore.codec import CodecConfig, build, save
from noencore.files import read_tensors
from noencore.seanet import Seanet

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(
    scope="module",
    params=[
        CodecConfig(filters=4, dimension=8, ratios=(4, 4, 5), codebooks=3, card=16),
        CodecConfig(filters=6, dimension=5, ratios=(3, 2), codebooks=1, card=30),
        None,
    ],
    ids=["even and odd ratios", "one codebook", "the codec of the default run"],
)
def codecs(request, tmp_path_factory):
    """(ours, audiocraft's): a codec with random weights, its codebooks drawn from noise; or that of `resources`."""
    config, path = request.param or CodecConfig(), "resources/codec.safetensors"
    if request.param:
        torch.manual_seed(0)
        model = build(config).train()
        with torch.no_grad():
            model(torch.randn(16, 1, 100 * config.hop))
        path = tmp_path_factory.mktemp("codec") / "codec.safetensors"
        save(model, config, path)
    return Seanet(read_tensors(path)[0]), own_codec(path)


@pytest.fixture(params=[1, 2, 37, 200])
def wave(request, codecs):
    """Noise that comes and goes, of some frames: [1, 1, n_samples]."""
    draw, hop = np.random.default_rng(request.param), 16000 // int(codecs[1].frame_rate)
    loud = np.repeat(draw.uniform(0, 1, request.param), hop)
    return torch.from_numpy((loud * draw.normal(0, 0.3, len(loud))).astype(np.float32))[None, None]


@torch.inference_mode()
def test_the_encoder_is_audiocrafts(codecs, wave):
    ours, theirs = (of(wave) for of in (codecs[0].latents, codecs[1].encoder))
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@torch.inference_mode()
def test_codes_and_sound_are_audiocrafts(codecs, wave):
    (ours, scale), (theirs, no_scale) = (codec.encode(wave) for codec in codecs)
    assert scale is no_scale is None
    assert torch.equal(ours, theirs)
    heard, expected = (codec.decode(theirs) for codec in codecs)
    assert heard.shape == wave.shape
    torch.testing.assert_close(heard, expected, rtol=1e-5, atol=1e-6)
