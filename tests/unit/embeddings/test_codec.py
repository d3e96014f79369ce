"""The encoders of codecs: ours is audiocraft's, and a released one is transformers'."""

import shutil

import numpy as np
import pytest
import torch
from standins import ENCODEC, TOY, write_encodec

from benchmarks.peers import own_codec
from noencore import codec as codecs
from noencore.embeddings import codec, encodec
from noencore.errors import UserError

CONFIG = codecs.CodecConfig(filters=4, dimension=6, card=8)
RATE = CONFIG.sample_rate


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A codec file of toy size."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("codec") / "codec.safetensors"
    codecs.save(codecs.build(CONFIG), CONFIG, path)
    return path


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """The directory `weights` with an EnCodec of toy size."""
    torch.manual_seed(0)
    home = tmp_path_factory.mktemp("encodec")
    write_encodec(home / "hub", TOY)
    (snapshot,) = (home / "hub").glob(f"models--{ENCODEC.replace('/', '--')}/snapshots/*")
    shutil.copytree(snapshot, home / "weights" / "encodec")
    return home / "weights"


def noise(seconds, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, int(seconds * RATE)).astype(np.float32)


def test_windows_are_means_over_a_second_of_latents(file):
    wave = noise(2.5)
    model = codec.load(file)
    with torch.inference_mode():
        latents = own_codec(file).encoder(torch.from_numpy(wave)[None, None])[0].numpy()
    frames = RATE // CONFIG.hop
    expected = [latents[:, start : start + frames].mean(axis=1) for start in (0, frames, 3 * frames // 2)]
    made = model.embed(wave)
    np.testing.assert_allclose(made.embeddings, expected, rtol=1e-4, atol=1e-6)
    assert made.padded.tolist() == [0, 0, 0]
    assert (model.sample_rate, model.window_s, model.dimension) == (RATE, 1.0, CONFIG.dimension)


def test_a_clip_below_a_second_is_padded_with_zeros(file):
    model = codec.load(file)
    short = model.embed(noise(0.25))
    assert short.padded.tolist() == [0.75]
    padded = np.pad(noise(0.25), (0, 3 * RATE // 4))
    np.testing.assert_array_equal(short.embeddings, model.embed(padded).embeddings)
    assert model.embed(noise(1) * 0).embeddings.shape == (1, CONFIG.dimension)


def test_what_is_no_codec_is_refused(tmp_path, file):
    with pytest.raises(UserError, match=r"nothing\.safetensors: not a readable"):
        codec.load(tmp_path / "nothing.safetensors")
    _, metadata = codecs.read_tensors(file)
    codecs.write_tensors({"a": torch.zeros(1)}, tmp_path / "other.safetensors", metadata)
    with pytest.raises(UserError, match=r"other\.safetensors: not a codec of ours"):
        codec.load(tmp_path / "other.safetensors")


def test_a_released_encodec_is_transformers_before_the_quantizer(released):
    from transformers import EncodecModel

    model = encodec.load(released)
    assert (model.sample_rate, model.dimension) == (32_000, TOY.dimension)
    wave = np.random.default_rng(0).normal(0, 0.1, 2 * model.sample_rate).astype(np.float32)
    theirs = EncodecModel.from_pretrained(released / "encodec", local_files_only=True).eval()
    with torch.inference_mode():
        latents = theirs.encoder(torch.from_numpy(wave)[None, None])[0]
    expected = latents.unflatten(1, (2, -1)).mean(dim=2).T
    np.testing.assert_allclose(model.embed(wave).embeddings, expected, rtol=1e-4, atol=1e-6)


def test_a_missing_or_damaged_encodec_names_the_file(released, tmp_path):
    with pytest.raises(UserError, match=r"encodec/config\.json: missing; fetch it from .*facebook/encodec_32khz"):
        encodec.load(tmp_path)
    shutil.copytree(released / "encodec", tmp_path / "encodec")
    weights = tmp_path / "encodec" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"encodec: damaged or not whole .*fetch its files again"):
        encodec.load(tmp_path)
