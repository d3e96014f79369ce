"""A cut is exact to the sample whatever the file is made of, and nothing but audio is opened."""

from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile

from noencore.catalogue.audio import BadAudio
from noencore.catalogue.cut import check_audio, cut, read_stretch

RATE, SECONDS = 48000, 6
LOSSLESS = ["wav", "flac", "aiff"]
LOSSY = {"mp3": ("mp3", "libmp3lame"), "webm": ("webm", "libopus"), "m4a": ("mp4", "aac"), "opus": ("ogg", "libopus")}


@pytest.fixture(scope="module")
def sound():
    """Noise below 3 kHz, [samples, 2] in 1/32768 steps: no stretch of it is like another."""
    draw = np.random.default_rng(0)
    spectrum = np.fft.rfft(draw.standard_normal((RATE * SECONDS, 2)), axis=0)
    spectrum[3000 * SECONDS :] = 0
    noise = np.fft.irfft(spectrum, axis=0)
    return np.round(noise / np.abs(noise).max() * 16000) / 32768


@pytest.fixture(scope="module")
def recording(sound, tmp_path_factory):
    """A function suffix -> path of the sound in that format."""
    folder = tmp_path_factory.mktemp("sound")

    def write(suffix):
        path = folder / f"sound.{suffix}"
        if suffix in LOSSLESS:
            soundfile.write(path, sound, RATE, "PCM_16")
        else:
            encode(sound, path, *LOSSY[suffix])
        return path

    return write


def encode(sound, path, container, codec):
    with av.open(path, "w", format=container) as out:
        stream = out.add_stream(codec, rate=RATE, layout="stereo")
        stream.bit_rate = 192000
        frame = av.AudioFrame.from_ndarray(sound.astype("float32").T.copy(), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        context = stream.codec_context
        context.open()
        fit = av.AudioResampler(format=context.format, layout="stereo", rate=RATE, frame_size=context.frame_size)
        for block in [*fit.resample(frame), *fit.resample(None), None]:
            out.mux(stream.encode(block))


def lag(heard, true):
    """By how many samples a signal is late, by their cross-correlation."""
    size = 2 * len(true)
    match = np.fft.irfft(np.fft.rfft(true, size).conj() * np.fft.rfft(heard, size))
    return (int(match.argmax()) + len(true)) % size - len(true)


@pytest.mark.parametrize("suffix", LOSSLESS)
@pytest.mark.parametrize(("start", "end"), [(0, 1), (1.25, 3.75), (2.00001, 6), (5.9, 6)])
def test_a_cut_of_a_lossless_file_has_its_very_samples(recording, sound, tmp_path, suffix, start, end):
    cut(recording(suffix), start, end, tmp_path / "cut.flac")
    heard, rate = soundfile.read(tmp_path / "cut.flac", always_2d=True)
    assert rate == RATE
    np.testing.assert_array_equal(heard, sound[round(start * RATE) : round(end * RATE)])


@pytest.mark.parametrize("suffix", LOSSY)
def test_a_cut_of_a_lossy_file_is_neither_early_nor_late(recording, sound, suffix):
    heard, rate = read_stretch(recording(suffix), 2.1, 4.3)
    assert (heard.shape, rate) == ((round(2.2 * RATE), 2), RATE)
    assert lag(heard[:, 0], sound[round(2.1 * RATE) : round(4.3 * RATE), 0]) == 0


def test_the_same_cut_is_the_same_bytes(recording, tmp_path):
    for name in ("one", "two"):
        cut(recording("webm"), 1, 2, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_what_a_container_rounds_away_is_silence(recording, sound):
    heard, _ = read_stretch(recording("wav"), 5, SECONDS + 0.05)
    assert len(heard) == round(1.05 * RATE)
    np.testing.assert_array_equal(heard[:RATE], sound[-RATE:].astype("float32"))
    assert not heard[RATE:].any()


@pytest.mark.parametrize(("start", "end"), [(0, SECONDS + 0.2), (5, 7), (10, 12)])
def test_a_recording_that_ends_too_early_is_short(recording, start, end):
    with pytest.raises(BadAudio, match=rf"ends {end - SECONDS:.1f} s before") as caught:
        read_stretch(recording("wav"), start, end)
    assert caught.value.status == "short"


def test_a_cut_file_is_short_or_undecodable_and_never_a_clip(recording, tmp_path):
    for suffix in ("flac", "mp3", "webm", "m4a"):
        whole = recording(suffix).read_bytes()
        (tmp_path / "half").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(BadAudio) as caught:
            cut(tmp_path / "half", 4, 6, tmp_path / "cut.flac")
        assert caught.value.status in ("short", "undecodable")
    assert [path.name for path in tmp_path.iterdir()] == ["half"]


def playlist(path):
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\n{path}\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize("name", ["x.m3u8", "x.mp3", "x.txt"])
@pytest.mark.parametrize("text", [playlist, "ffconcat version 1.0\nfile {}\n".format, lambda _: "<html>", lambda _: ""])
def test_a_text_that_names_another_file_opens_none(recording, tmp_path, name, text):
    (tmp_path / name).write_text(text(recording("mp3")))
    with pytest.raises(BadAudio) as caught:
        check_audio(tmp_path / name)
    assert caught.value.status == "undecodable"
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("channels", [1, 2, 6, 8, 9])
def test_all_channels_are_kept_and_more_than_flac_has_are_a_reason(tmp_path, channels):
    wave = np.random.default_rng(0).integers(-9999, 9999, (RATE, channels)) / 32768
    soundfile.write(tmp_path / "x.wav", wave, RATE, "PCM_16")
    if channels > 8:
        with pytest.raises(BadAudio, match=r"9 channels; FLAC has up to 8"):
            cut(tmp_path / "x.wav", 0, 1, tmp_path / "cut.flac")
    else:
        cut(tmp_path / "x.wav", 0, 1, tmp_path / "cut.flac")
        np.testing.assert_array_equal(soundfile.read(tmp_path / "cut.flac", always_2d=True)[0], wave)
