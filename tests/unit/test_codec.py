"""The codec as a file: what is saved is what is loaded, and a clip's tokens are its own."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from noencore.codec import Codec, CodecConfig, build, save
from noencore.errors import UserError
from noencore.files import read_tensors, write_tensors

logging.getLogger("xformers").setLevel(logging.ERROR)  # its CUDA extensions do not load, and none is used

CONFIG = CodecConfig(filters=4, dimension=8, ratios=(4, 4, 5), codebooks=3, card=16)
HOP = 80

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A codec with random weights. Its codebooks are drawn by k-means at the first batch in training mode."""
    torch.manual_seed(0)
    model = build(CONFIG).train()
    with torch.no_grad():
        model(torch.randn(16, 1, 8000))
    path = tmp_path_factory.mktemp("codec") / "codec.safetensors"
    save(model.eval(), CONFIG, path)
    return path


@pytest.fixture(scope="module")
def codec(path):
    return Codec(path)


@pytest.fixture(scope="module")
def wave():
    return np.random.default_rng(0).normal(0, 1, 4000).astype(np.float32)


def test_frames_a_second_follow_from_the_strides():
    assert (CodecConfig().hop, CodecConfig().frame_rate) == (320, 50.0)
    assert (CONFIG.hop, CONFIG.frame_rate) == (HOP, 200.0)


@pytest.mark.parametrize("samples", [4000, 4000 - 1, 4000 - HOP, HOP])
def test_codes_are_k_by_t(codec, wave, samples):
    codes = codec.encode(wave[:samples])
    assert (codes.dtype, codes.shape) == (torch.int16, (3, samples // HOP))
    assert codes.min() >= 0
    assert codes.max() < CONFIG.card


def test_codes_follow_the_wave(codec, wave):
    assert all(len(row.unique()) > 1 for row in codec.encode(wave))
    assert not torch.equal(codec.encode(wave), codec.encode(wave[::-1]))


def test_a_rest_shorter_than_a_frame_is_cut(codec, wave):
    assert torch.equal(codec.encode(wave[: 4000 - 1]), codec.encode(wave[: 4000 - HOP]))


def test_a_clip_has_the_same_tokens_every_time(codec, path, wave):
    before = codec.encode(wave)
    codec.encode(wave[::-1])
    assert torch.equal(codec.encode(wave), before)
    assert torch.equal(Codec(path).encode(wave), before)


def test_decoding_gives_a_hop_of_samples_a_frame_every_time_the_same(codec, path, wave):
    codes = codec.encode(wave)
    decoded = codec.decode(codes)
    assert (decoded.dtype, decoded.shape) == (np.float32, (codes.shape[1] * HOP,))
    assert decoded.tobytes() == Codec(path).decode(codes).tobytes()
    assert decoded.std() > 0


def test_the_file_has_the_shape_and_half_precision(path):
    tensors, metadata = read_tensors(path)
    assert CodecConfig(**{**json.loads(metadata["config"]), "ratios": CONFIG.ratios}) == CONFIG
    assert not any(tensor.dtype in (torch.float32, torch.float64) for tensor in tensors.values())


def test_saving_what_was_loaded_gives_the_same_bytes(codec, path, tmp_path):
    save(codec.model, codec.config, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("damage", ["cut", "no metadata", "other shape", "other model"])
def test_a_file_that_is_no_codec_is_named(path, tmp_path, damage):
    broken = tmp_path / "broken.safetensors"
    tensors, metadata = read_tensors(path)
    if damage == "cut":
        broken.write_bytes(path.read_bytes()[:-100])
    elif damage == "no metadata":
        write_tensors(tensors, broken)
    elif damage == "other shape":
        shape = {**json.loads(metadata["config"]), "filters": 6}
        write_tensors(tensors, broken, {**metadata, "config": json.dumps(shape)})
    else:
        write_tensors({"weight": torch.ones(2)}, broken, metadata)
    with pytest.raises(UserError, match=r"broken\.safetensors: not a "):
        Codec(broken)


def test_nothing_but_the_codec_needs_audiocraft():
    """Its import takes seconds, and jobs that train, score and measure have no use for it."""
    names = "tokens training scoring generation unlearning.recipes metrics.quality comparison experiment codec"
    text = "import sys\n" + "".join(f"import noencore.{name}\n" for name in names.split())
    text += "print(sorted({'audiocraft', 'transformers', 'music21', 'librosa'} & set(sys.modules)))"
    child = subprocess.run(
        [sys.executable, "-c", text], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert child.stdout == "[]\n"
