"""Tokens: what is kept equals what is fresh, and a batch holds the clips that were asked for."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from noencore.codec import CodecConfig
from noencore.errors import UserError
from noencore.files import sha256, write_tensors
from noencore.tokens import codec_shape_metadata, encode_clips, load_clips, read_audio, read_codec_shape, shard_of

RATE = 16000


class FakeCodec:
    """Four codebooks, ten frames a second: token q of a frame is the frame's level times q + 1."""

    config = SimpleNamespace(sample_rate=RATE)

    def __init__(self):
        self.calls = 0

    def encode(self, wave):
        self.calls += 1
        levels = np.abs(wave[: len(wave) // 1600 * 1600]).reshape(-1, 1600).mean(1)
        return torch.from_numpy(levels * np.arange(1, 5)[:, None] * 100).to(torch.int16)


class FakeEncoder:
    """A state a letter."""

    calls = 0

    def encode(self, caption):
        FakeEncoder.calls += 1
        return torch.tensor([[ord(letter) / 128, 1.0] for letter in caption], dtype=torch.float16)


@pytest.fixture
def rows(tmp_path):
    """Three clips of noise, 1 s each."""
    (tmp_path / "audio").mkdir()
    rng = np.random.default_rng(0)
    found = []
    for name in ("a", "b", "c"):
        path = tmp_path / "audio" / f"{name}.wav"
        soundfile.write(path, rng.normal(0, 0.1, RATE), RATE)
        found.append({"clip_id": name, "path": f"audio/{name}.wav", "sha256": sha256(path), "caption": name * 3})
    return pd.DataFrame(found)


@pytest.fixture
def encode(tmp_path):
    """A function rows -> tensors of a shard."""

    def call(rows, codec=None, key="codec 1", store="store"):
        return encode_clips(rows, tmp_path, codec or FakeCodec(), key, FakeEncoder, tmp_path / store)

    return call


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_shard_has_codes_and_text_of_each_clip(rows, encode):
    tensors = encode(rows)
    assert set(tensors) == {f"{kind}/{clip}" for kind in ("codes", "text") for clip in "abc"}
    assert (tensors["codes/a"].dtype, tensors["codes/a"].shape) == (torch.int16, (4, 10))
    assert (tensors["text/a"].dtype, tensors["text/a"].shape) == (torch.float16, (3, 2))


def test_what_the_store_keeps_equals_what_is_fresh(rows, encode):
    fresh = encode(rows)
    codec = FakeCodec()
    kept = encode(rows, codec)
    assert codec.calls == 0
    assert same(kept, fresh)
    assert same(encode(rows, store="empty"), fresh)


def test_an_added_clip_costs_one_clip(rows, encode):
    encode(rows[:2])
    codec, before = FakeCodec(), FakeEncoder.calls
    encode(rows, codec)
    assert codec.calls == 1
    assert FakeEncoder.calls == before + 1


def test_a_shard_without_a_new_clip_loads_no_text_encoder(rows, tmp_path):
    def load():
        raise AssertionError("loaded")

    first = encode_clips(rows, tmp_path, FakeCodec(), "key", FakeEncoder, tmp_path / "store")
    assert same(encode_clips(rows, tmp_path, FakeCodec(), "key", load, tmp_path / "store"), first)


def test_tokens_are_kept_by_content_not_by_name(rows, encode):
    encode(rows)
    codec = FakeCodec()
    renamed = encode(rows.assign(clip_id=["x", "y", "z"]), codec)
    assert codec.calls == 0
    assert torch.equal(renamed["codes/x"], encode(rows)["codes/a"])


def test_another_codec_encodes_again(rows, encode):
    encode(rows)
    codec = FakeCodec()
    encode(rows, codec, key="codec 2")
    assert codec.calls == 3


def test_a_changed_caption_is_never_taken_from_the_store(rows, encode):
    encode(rows)
    changed = encode(rows.assign(caption="zz"))
    assert torch.equal(changed["text/a"], FakeEncoder().encode("zz"))


def test_a_damaged_file_of_the_store_is_named(rows, encode, tmp_path):
    encode(rows[:1])
    for kept in (tmp_path / "store").rglob("*.safetensors"):  # the codes, and the text
        whole = kept.read_bytes()
        kept.write_bytes(whole[:20])
        with pytest.raises(UserError, match=f"{kept.name}: not a readable safetensors file"):
            encode(rows[:1])
        kept.write_bytes(whole)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-2]), "damaged or changed"),
        (lambda path: soundfile.write(path, np.zeros(RATE), RATE), "damaged or changed"),
    ],
)
def test_audio_that_is_not_the_catalogues_is_named(rows, encode, tmp_path, damage, message):
    damage(tmp_path / "audio" / "b.wav")
    with pytest.raises(UserError, match=rf"audio/b\.wav: {message}.*; delete catalogue\.parquet .* and run again"):
        encode(rows)


def test_audio_of_another_rate_is_named_with_both_rates(rows, encode, tmp_path):
    path = tmp_path / "audio" / "b.wav"
    soundfile.write(path, np.zeros(8000), 8000)
    rows.loc[1, "sha256"] = sha256(path)
    with pytest.raises(UserError, match=r"audio/b\.wav: 8000 Hz, but the codec works at 16000 Hz"):
        encode(rows)


def test_stereo_is_read_as_its_mean(tmp_path):
    channels = np.random.default_rng(0).uniform(-0.5, 0.5, (100, 2)).astype(np.float32)
    soundfile.write(tmp_path / "x.wav", channels, RATE, "FLOAT")
    wave = read_audio(tmp_path / "x.wav", sha256(tmp_path / "x.wav"), RATE)
    np.testing.assert_allclose(wave, channels.mean(1), atol=1e-7)
    assert wave.dtype == np.float32


def test_the_shard_of_a_clip_depends_on_its_id_alone():
    """Values of zlib.crc32, the same on every machine: a change here would encode every catalogue again."""
    assert [shard_of(clip, 4) for clip in ("oneills1850-0001.001-0", "a", "b")] == [3, 3, 1]
    shards = [shard_of(f"clip-{i}", 5) for i in range(1000)]
    assert set(shards) == set(range(5))
    assert max(shards.count(shard) for shard in range(5)) < 300


@pytest.fixture
def shards(tmp_path):
    """Two shard files with clips of 1, 2, ... 8 caption states."""
    draw = torch.Generator().manual_seed(0)
    files, content = [tmp_path / "tokens" / f"shard-{i}.safetensors" for i in range(2)], [{}, {}]
    for i in range(8):
        content[i % 2][f"codes/clip{i}"] = torch.randint(9, (4, 6), generator=draw).short()
        content[i % 2][f"text/clip{i}"] = torch.randn(i + 1, 5, generator=draw).half()
    for file, tensors in zip(files, content, strict=True):
        write_tensors(tensors, file, codec_shape_metadata(CodecConfig()))
    return files, content[0] | content[1]


def test_clips_come_in_the_order_asked_for(shards):
    files, content = shards
    clips = load_clips(files[::-1], ["clip5", "clip0", "clip2"])
    assert clips.ids == ["clip5", "clip0", "clip2"]
    assert (clips.codes.dtype, clips.text.dtype, clips.text_mask.dtype) == (torch.int64, torch.float32, torch.bool)
    for row, clip in enumerate(clips.ids):
        assert torch.equal(clips.codes[row], content[f"codes/{clip}"].long())
        assert torch.equal(clips.text[row][clips.text_mask[row]], content[f"text/{clip}"].float())


def test_padding_is_zero_and_masked(shards):
    clips = load_clips(shards[0], [f"clip{i}" for i in range(8)])
    assert clips.text_mask.sum(1).tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert not clips.text[~clips.text_mask].any()


def test_missing_clips_are_counted_and_the_first_is_named(shards):
    with pytest.raises(
        UserError, match="tokens: no tokens for clip lost and 1 others; delete the folder and run again"
    ):
        load_clips(shards[0], ["clip1", "lost", "gone"])


def test_taking_clips_cuts_text_to_the_longest_caption_among_them(shards):
    clips = load_clips(shards[0], [f"clip{i}" for i in range(8)])
    some = clips.take([4, 1])
    fresh = load_clips(shards[0], ["clip4", "clip1"])
    assert some.ids == fresh.ids
    assert some.text.shape == (2, 5, 5)
    for name in ("codes", "text", "text_mask"):
        assert torch.equal(getattr(some, name), getattr(fresh, name))
    assert len(clips) == 8
    assert len(clips.take([])) == 0


def test_a_shard_tells_the_shape_of_its_codec(shards):
    config = CodecConfig()
    expected = {"codebooks": config.codebooks, "card": config.card, "frame_rate": config.frame_rate}
    assert read_codec_shape(shards[0][0]) == expected
