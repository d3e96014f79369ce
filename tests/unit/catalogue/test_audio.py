"""Spans of files in every format, and a reason for every file that cannot be read."""

import struct
import weakref

import av
import numpy as np
import pytest
import soundfile
from own_audio import SUBTYPES, melody, write, write_m4a

from noencore.catalogue.audio import BadAudio, Span, read_spans

RATE = 22050
WAVE = melody(3.0, seed=1, rate=RATE)


def whole(frames, rate):
    return [Span(0, frames)]


@pytest.mark.parametrize(
    ("suffix", "error"), [("wav", 1e-4), ("flac", 1e-4), ("aiff", 1e-4), ("ogg", 0.1), ("mp3", 0.1)]
)
@pytest.mark.parametrize("channels", [1, 2])
def test_every_format_gives_the_wave_as_mono_at_its_own_rate(tmp_path, suffix, error, channels):
    sides = np.stack([WAVE, 0.5 * WAVE], axis=1)[:, :channels]
    path = write(tmp_path / f"a.{suffix}", sides, RATE)
    rate, count, (mono,) = read_spans(path, whole)
    assert (rate, count) == (RATE, channels)
    assert mono.dtype == np.float32
    size = min(len(mono), len(WAVE))
    assert size > 0.97 * len(WAVE)
    wanted = sides[:size].mean(axis=1)
    assert np.sqrt(np.mean((mono[:size] - wanted) ** 2)) < error * np.sqrt(np.mean(wanted**2)) + 1e-4


def test_what_libsndfile_cannot_read_ffmpeg_reads(tmp_path):
    path = write_m4a(tmp_path / "a.m4a", WAVE, RATE)
    rate, channels, (mono,) = read_spans(path, whole)
    assert (rate, channels) == (RATE, 1)
    assert abs(len(mono) - len(WAVE)) < 3000  # the coder's padding
    middle = [abs(np.fft.rfft(wave[20000:40000])) for wave in (mono, WAVE)]
    assert np.corrcoef(*middle)[0, 1] > 0.9


@pytest.mark.parametrize("channels", [1, 2, 6, 8])
def test_ffmpeg_averages_channels_too(tmp_path, channels):
    sides = np.random.default_rng(0).uniform(-0.5, 0.5, (RATE, channels))
    path = remux(write(tmp_path / "a.flac", sides, RATE, "PCM_16"), tmp_path / "a.mka")
    rate, count, (mono,) = read_spans(path, whole)
    assert (rate, count, len(mono)) == (RATE, channels, RATE)
    np.testing.assert_allclose(mono, sides.mean(axis=1), atol=1e-4)


def remux(path, target):
    """The flac stream of one file in a matroska container."""
    with av.open(str(path), format="flac") as source, av.open(str(target), "w") as container:
        stream = container.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = stream
                container.mux(packet)
    return target


@pytest.mark.parametrize("name", ["a.flac", "a.m4a"])
def test_spans_are_parts_of_the_whole(tmp_path, name):
    path = tmp_path / name
    write_m4a(path, WAVE, RATE) if name.endswith("m4a") else write(path, WAVE, RATE)
    _, _, (mono,) = read_spans(path, whole)
    spans = [(20000, 5000), (0, 10), (100, 30000), (len(mono) - 7, 100), (len(mono) + 9, 5)]
    _, _, parts = read_spans(path, lambda frames, rate: [Span(*span) for span in spans])
    for part, (first, count) in zip(parts, spans, strict=True):
        np.testing.assert_array_equal(part, mono[first : first + count])


@pytest.mark.parametrize("name", ["a.flac", "a.m4a"])
def test_the_result_of_a_span_is_made_before_the_next_is_read(tmp_path, name):
    """So the memory of a long file is that of its longest span."""
    path, read, alive = tmp_path / name, [], []
    write_m4a(path, WAVE, RATE) if name.endswith("m4a") else write(path, WAVE, RATE)

    def length(wave):
        read.append(weakref.ref(wave))
        alive.append(sum(wave() is not None for wave in read))
        return len(wave)

    spans = [Span(first, 8000, length) for first in range(0, 48000, 8000)]
    assert read_spans(path, lambda frames, rate: spans)[2] == [8000] * 6
    assert alive == [1] * 6


@pytest.mark.parametrize("suffix", ["mp3", "ogg", "opus"])
def test_spans_of_lossy_files_are_what_decoding_from_the_beginning_gives(tmp_path, suffix, capfd):
    """A seek loses what an mp3 packet borrows from those before, and libsndfile's in ogg end up elsewhere."""
    path, rate = tmp_path / f"a.{suffix}", 48000
    more = {"bitrate_mode": "VARIABLE", "compression_level": 0.5} if suffix == "mp3" else {}
    form, subtype = SUBTYPES[suffix]
    soundfile.write(path, melody(6.0, seed=2, rate=rate), rate, subtype, format=form, **more)
    straight, _ = soundfile.read(path, dtype="float32")
    spans = [(int(first), 20000) for first in np.random.default_rng(0).integers(0, 5 * rate, 20)]
    _, _, parts = read_spans(path, lambda frames, rate: [Span(*span) for span in spans])
    for part, (first, count) in zip(parts, spans, strict=True):
        np.testing.assert_allclose(part, straight[first : first + count], atol=1e-3)
    assert capfd.readouterr().err == ""


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    return path


@pytest.mark.parametrize("suffix", ["wav", "flac", "aiff", "mp3", "ogg", "m4a"])
def test_a_cut_off_file_is_no_shorter_file(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    cut(write_m4a(path, WAVE, RATE) if suffix == "m4a" else write(path, WAVE, RATE))
    with pytest.raises(BadAudio) as caught:
        read_spans(path, whole)
    assert caught.value.status in ("truncated", "unreadable")
    if suffix in ("wav", "flac", "aiff", "mp3"):
        assert caught.value.status == "truncated"


def write_film(path, wave, rate, seconds):
    """The wave in AAC beside a film of so many seconds."""
    with av.open(path, "w") as container:
        film = container.add_stream("mpeg4", rate=10)
        film.width = film.height = 64
        sound = container.add_stream("aac", rate=rate, layout="mono")
        for _ in range(10 * seconds):
            container.mux(film.encode(av.VideoFrame(64, 64, "yuv420p")))
        frame = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
        frame.sample_rate = rate
        fifo = av.AudioFifo()
        fifo.write(frame)
        while piece := fifo.read(1024, partial=True):
            container.mux(sound.encode(piece))
        container.mux([*sound.encode(None), *film.encode(None)])
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_the_sound_of_a_film_that_lasts_longer_is_whole(tmp_path, suffix):
    path = write_film(tmp_path / f"a.{suffix}", WAVE, RATE, seconds=5)
    assert abs(len(read_spans(path, whole)[2][0]) - len(WAVE)) < 3000


def test_a_quiet_beginning_makes_no_file_a_cut_one(tmp_path):
    """FFmpeg takes silence, which needs few bytes, for hours: the length of a bare AAC stream is its guess."""
    wave = np.concatenate([np.zeros(20 * RATE, np.float32), WAVE])
    path = write_m4a(tmp_path / "a.aac", wave, RATE)
    assert abs(len(read_spans(path, whole)[2][0]) - len(wave)) < 3000


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF - 36, 0x7FFFF000])
def test_a_wav_out_of_a_pipe_does_not_know_its_length(tmp_path, size):
    """FFmpeg and sox cannot go back to write it."""
    path = tmp_path / "a.wav"
    path.write_bytes(wav_head(size=size) + bytes(2 * 5000))
    assert len(read_spans(path, whole)[2][0]) == 5000


def test_a_flac_out_of_a_pipe_does_not_know_its_length(tmp_path):
    path = write(tmp_path / "a.flac", WAVE, RATE)
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # of STREAMINFO: the 36 bits of the number of samples
    content[22:26] = bytes(4)
    path.write_bytes(content)
    assert len(read_spans(path, whole)[2][0]) == len(WAVE)


def test_a_wav_that_cannot_be_searched_is_read_from_its_beginning(tmp_path):
    path = write(tmp_path / "a.wav", WAVE, RATE, "GSM610")
    assert abs(len(read_spans(path, whole)[2][0]) - len(WAVE)) < 320


@pytest.mark.parametrize("suffix", ["mp3", "m4a", "aac", "flac"])
def test_an_empty_file_says_so_and_prints_nothing(tmp_path, capfd, suffix):
    path = tmp_path / f"a.{suffix}"
    path.touch()
    with pytest.raises(BadAudio, match="an empty file"):
        read_spans(path, whole)
    assert capfd.readouterr().err == ""


FOREIGN = {
    "an empty file": b"",
    "text": b"not audio at all\n" * 100,
    "an archive": b"PK\x03\x04" + bytes(500),
    "a playlist": b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n",
    "a concat script": b"ffconcat version 1.0\nfile /etc/passwd\n",
    "a pickle": b"\x80\x04\x95\x10\x00",
    "noise": np.random.default_rng(0).bytes(5000),
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("suffix", ["wav", "mp3", "m4a", "flac", "aac", "au", "snd"])
def test_a_foreign_file_is_unreadable(tmp_path, kind, suffix):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(FOREIGN[kind])
    with pytest.raises(BadAudio) as caught:
        read_spans(path, whole)
    assert caught.value.status == "unreadable"
    assert str(tmp_path) not in caught.value.reason


def wav_head(rate=RATE, channels=1, size=0):
    """The head of a wav of 16 bits that claims `size` bytes of audio."""
    block = 2 * channels
    form = struct.pack("<HHIIHH", 1, channels, rate, (rate * block) & 0xFFFFFFFF, block, 16)
    return (
        b"RIFF"
        + struct.pack("<I", min(36 + size, 0xFFFFFFFF))
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + form
        + b"data"
        + struct.pack("<I", size)
    )


def test_a_head_that_promises_hours_allocates_nothing(tmp_path):
    """A file of 5 kB that says it has 3 GB."""
    path = tmp_path / "a.wav"
    path.write_bytes(wav_head(size=3_000_000_000) + bytes(5000))
    with pytest.raises(BadAudio) as caught:
        read_spans(path, whole)
    assert caught.value.status == "truncated"


@pytest.mark.parametrize(("rate", "channels"), [(RATE, 200), (10, 1), (4_000_000, 1)])
def test_impossible_rates_and_channels_are_refused(tmp_path, rate, channels):
    path = tmp_path / "a.wav"
    path.write_bytes(wav_head(rate, channels, 40000) + bytes(40000))
    with pytest.raises(BadAudio) as caught:
        read_spans(path, whole)
    assert caught.value.status == "unreadable"


@pytest.mark.parametrize("name", ["a.wav", "a.m4a"])
def test_a_recording_of_more_than_the_longest_is_refused(tmp_path, name, monkeypatch):
    """Silence packs well: a small file may hold days."""
    monkeypatch.setattr("noencore.catalogue.audio.LONGEST", 2.0)
    path = tmp_path / name
    write_m4a(path, WAVE, RATE) if name.endswith("m4a") else write(path, WAVE, RATE)
    with pytest.raises(BadAudio) as caught:
        read_spans(path, whole)
    assert caught.value.status == "long"


def test_a_name_like_an_option_or_a_protocol_is_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("-i.m4a", "pipe:0.m4a", "file:x.m4a"):
        write_m4a(tmp_path / "x.m4a", WAVE, RATE).rename(name)
        assert read_spans(name, whole)[0] == RATE
