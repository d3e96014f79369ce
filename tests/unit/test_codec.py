"""The codec as a file: what is saved is what is loaded, and a clip's tokens are its own."""

import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from standins import ENCODEC, TOY, codec_config, point_to, write_bin, write_file

from benchmarks.peers import own_codec
from noencore.codec import Codec, CodecConfig, ReleasedCodec, build, save
from noencore.errors import UserError
from noencore.files import read_tensors, write_tensors
from noencore.hub import read_package
from noencore.tokens import codec_shape_metadata

logging.getLogger("xformers").setLevel(logging.ERROR)  # its CUDA extensions do not load, and none is used

CONFIG = CodecConfig(filters=4, dimension=8, ratios=(4, 4, 5), codebooks=3, card=16)
HOP = 80
OTHER = {"other width": {"filters": 6}, "other ratios": {"ratios": (5, 4, 4)}, "a codebook less": {"codebooks": 2}}

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
    save(own_codec(path), codec.config, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "damage", ["cut", "no metadata", "other width", "other ratios", "a codebook less", "other model"]
)
def test_a_file_that_is_no_codec_is_named(path, tmp_path, damage):
    broken = tmp_path / "broken.safetensors"
    tensors, metadata = read_tensors(path)
    if damage == "cut":
        broken.write_bytes(path.read_bytes()[:-100])
    elif damage == "no metadata":
        write_tensors(tensors, broken)
    elif damage in OTHER:
        shape = {**json.loads(metadata["config"]), **OTHER[damage]}
        write_tensors(tensors, broken, {**metadata, "config": json.dumps(shape)})
    else:
        write_tensors({"weight": torch.ones(2)}, broken, metadata)
    with pytest.raises(UserError, match=r"broken\.safetensors: not a "):
        Codec(broken)


@pytest.fixture
def package(released_home, tmp_path):
    """A released package of its own, in toy size at 32 kHz."""
    shutil.copytree(released_home / "package", tmp_path / "package")
    return tmp_path / "package"


@pytest.fixture
def long_wave():
    """1.5 s of noise that comes and goes at 32 kHz, and 100 samples more."""
    draw = np.random.default_rng(1)
    return (draw.normal(0, 1, 48100) * np.repeat(draw.uniform(0, 1, 481), 100)).astype(np.float32)


def write_codec(package, changes=None, half=False):
    """Set keys of a section of the codec's xp.cfg; or store its weights in fp16."""
    path = package / "compression_state_dict.bin"
    state = {
        name: tensor.half() if half else tensor.clone() for name, tensor in read_package(path)["best_state"].items()
    }
    config = codec_config(TOY)
    for key, value in (changes or {}).items():
        section, name = key.split(".")
        config[section][name] = value
    write_file(path, state, config)


@pytest.mark.parametrize(("form", "card"), [("file", 300), ("pointer", 2048)])
def test_a_released_codec_does_what_a_codec_does(package, hub, long_wave, form, card):
    if form == "pointer":
        point_to(package, ENCODEC)
    codec = ReleasedCodec(package)
    assert codec_shape_metadata(codec.config) == {"codebooks": "4", "card": str(card), "frame_rate": "50.0"}
    assert (codec.config.sample_rate, codec.config.hop) == (32000, 640)
    codes = codec.encode(long_wave)
    assert (codes.dtype, codes.shape) == (torch.int16, (4, 75))
    assert all(len(row.unique()) > 1 for row in codes)
    assert codes.max() < card
    codec.encode(long_wave[::-1])
    assert torch.equal(codec.encode(long_wave[: 75 * 640]), codes)
    decoded = codec.decode(codes)
    assert (decoded.dtype, decoded.shape) == (np.float32, (75 * 640,))
    assert decoded.tobytes() == ReleasedCodec(package).decode(codes).tobytes()
    assert {parameter.dtype for parameter in codec.model.parameters()} == {torch.float32}


def test_a_released_codec_in_fp16_works_in_fp32(package, long_wave):
    write_codec(package, half=True)
    codec = ReleasedCodec(package)
    assert {parameter.dtype for parameter in codec.model.parameters()} == {torch.float32}
    assert codec.encode(long_wave).shape == (4, 75)


def test_a_model_may_use_the_first_codebooks_only(package, long_wave):
    codec = ReleasedCodec(package, codebooks=2)
    assert codec.config.codebooks == 2
    assert torch.equal(codec.encode(long_wave), ReleasedCodec(package).encode(long_wave)[:2])
    with pytest.raises(UserError, match=r"compression_state_dict\.bin: 4 codebooks, but the model needs 5"):
        ReleasedCodec(package, codebooks=5)


def test_a_pointer_to_what_is_not_there_names_what_to_fetch(package, tmp_path):
    point_to(package, ENCODEC)
    with pytest.raises(UserError, match=r"encodec_32khz: no config.json in .*`hf download facebook/encodec_32khz`"):
        ReleasedCodec(package, hub=tmp_path)
    point_to(package, "dac_44khz")
    with pytest.raises(UserError, match=r"compression_state_dict\.bin: points to dac_44khz, which is no EnCodec"):
        ReleasedCodec(package)


def test_a_pointer_to_a_damaged_encodec_names_it(package, hub, tmp_path):
    point_to(package, ENCODEC)
    shutil.copytree(hub, tmp_path / "hub")
    (weights,) = (tmp_path / "hub" / "models--facebook--encodec_32khz").rglob("model.safetensors")
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"damaged or not whole .*; run `hf download facebook/encodec_32khz` again"):
        ReleasedCodec(package, hub=tmp_path / "hub")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encodec.renormalize": True}, "not mono or scales its input"),
        ({"encodec.quantizer": "none"}, "not a codec that audiocraft can build"),
        ({"seanet.n_filters": 8}, "not a codec that audiocraft can build"),
        ({"rvq.bins": 200}, "not a codec that audiocraft can build"),
    ],
)
def test_a_released_codec_of_another_kind_is_refused(package, changes, message):
    write_codec(package, changes)
    with pytest.raises(UserError, match=rf"compression_state_dict\.bin: .*{message}") as caught:
        ReleasedCodec(package)
    assert "\n" not in str(caught.value)


def test_a_released_codec_that_is_missing_or_no_codec_is_named(package):
    path = package / "compression_state_dict.bin"
    write_bin(path, {"best_state": {"a": torch.ones(1)}, "xp.cfg": yaml.safe_dump({"a": 1})})
    with pytest.raises(UserError, match=r"compression_state_dict\.bin: not a codec"):
        ReleasedCodec(package)
    path.write_bytes(b"PK")
    with pytest.raises(UserError, match=r"compression_state_dict\.bin: not tensors and text"):
        ReleasedCodec(package)
    path.unlink()
    with pytest.raises(UserError, match=r"compression_state_dict\.bin: missing"):
        ReleasedCodec(package)


def test_nothing_but_the_codec_needs_audiocraft():
    """Its import takes seconds, and only training a codec and reading a released one have a use for it."""
    names = "tokens training scoring generation unlearning.recipes metrics.quality experiment codec text hub"
    names += " comparison.tables comparison.findings comparison.paired musicgen musicgen.released"
    text = "import sys\n" + "".join(f"import noencore.{name}\n" for name in names.split())
    text += "noencore.codec.Codec('resources/codec.safetensors')\n"
    text += "heavy = {'audiocraft', 'transformers', 'huggingface_hub', 'omegaconf', 'music21', 'librosa'}\n"
    text += "print(sorted(heavy & set(sys.modules)))"
    child = subprocess.run(
        [sys.executable, "-c", text], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert child.stdout == "[]\n"
