"""Recordings of the kind that users bring, made up: melodies that no two seeds share."""

import numpy as np
import soundfile

SUBTYPES = {"mp3": ("MP3", "MPEG_LAYER_III"), "ogg": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS")}


def melody(seconds, seed, rate=16000):
    """float32 [seconds * rate]: notes of three partials, in a rhythm and a tuning of its own."""
    draw = np.random.default_rng(seed)
    wave = np.zeros(round(seconds * rate))
    begin = 0
    while begin < len(wave):
        size = round(draw.uniform(0.12, 0.35) * rate)
        time = np.arange(size) / rate
        pitch = 200 * 2 ** draw.uniform(0, 2.5)
        note = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in (1, 2, 3)) * np.exp(-3 * time)
        wave[begin : begin + size] = 0.3 * note[: len(wave) - begin]
        begin += size
    return wave.astype(np.float32)


def write(path, wave, rate=16000, subtype=None):
    """Write a wave in the format that the suffix names, its folder too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = path.suffix[1:]
    form, default = SUBTYPES.get(suffix, (suffix.upper(), None))
    soundfile.write(path, wave, rate, format=form, subtype=subtype or default)
    return path


def write_m4a(path, wave, rate):
    """AAC in an mp4 container, which libsndfile cannot read."""
    import av

    with av.open(path, "w") as container:
        stream = container.add_stream("aac", rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
        frame.sample_rate = rate
        fifo = av.AudioFifo()
        fifo.write(frame)
        while piece := fifo.read(stream.codec_context.frame_size, partial=True):
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return path
