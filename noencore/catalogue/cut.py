"""Cutting a stretch out of any audio file, exact to the sample, without an ffmpeg program.

The file is decoded from its beginning and samples are counted: what a seek finds depends on the container's index and
on where its key frames lie, and a cut at a key frame is seconds away from what was asked for.
"""

import contextlib

import numpy as np
import soundfile

from noencore.catalogue.audio import BadAudio
from noencore.files import atomic

LEEWAY = 0.1  # s that may be missing at the end of a recording: containers round its length; silence takes their place

# Containers of sound. Playlists (HLS, concat) are not among them: they would make the decoder open other files.
FORMATS = "aac,aiff,ac3,flac,matroska,mov,mp3,ogg,wav,w64,wv,webm,asf,au,caf"
SAFE = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}


def cut(source, start, end, target):
    """Write the stretch of `source` from `start` to `end` (s) to `target` as 16-bit FLAC, at its own rate and channels.

    Raises BadAudio: "short" where the recording ends more than LEEWAY before `end`, "undecodable" where it is no audio
    or its audio cannot be decoded up to there.
    """
    samples, rate = read_stretch(source, start, end)
    if samples.shape[1] > 8:
        raise BadAudio("undecodable", f"{samples.shape[1]} channels; FLAC has up to 8")
    with atomic(target) as temporary:
        soundfile.write(temporary, np.clip(samples, -1, 1 - 2**-15), rate, "PCM_16", format="FLAC")


def read_stretch(source, start, end):
    """The stretch from `start` to `end` (s) of the first audio stream: (float32 [samples, channels], rate in Hz).

    Time counts from the first sample that the decoder gives out: what an encoder put before the sound (its delay) is
    skipped by then, though containers still count it. Errors as `cut`'s.
    """
    kept, position, rate = [], 0, None
    try:
        with contextlib.closing(_frames(source)) as frames:
            for frame in frames:
                rate = rate or frame.sample_rate
                first, last = round(start * rate), round(end * rate)
                block = frame.to_ndarray().reshape(-1, frame.layout.nb_channels)
                kept.append(block[max(0, first - position) : max(0, last - position)])
                position += len(block)
                if position >= last:
                    break
    except Exception as error:  # foreign bytes: a decoder may raise anything
        raise BadAudio("undecodable", getattr(error, "strerror", None) or type(error).__name__) from None
    if rate is None:
        raise BadAudio("undecodable", "holds no audio")
    missing = max(0, last - position)
    if missing > LEEWAY * rate:
        raise BadAudio("short", f"ends {missing / rate:.1f} s before the end of its stretch")
    return np.pad(np.concatenate(kept), ((0, missing), (0, 0))), rate


def check_audio(source):
    """Raise BadAudio where the first tenth of a second of a file cannot be decoded as audio. Errors as `cut`'s."""
    read_stretch(source, 0, LEEWAY)


def _frames(source):
    """Frames of the first audio stream, of float32, channels interleaved: PyAV 18.1 dies of eight planes and more."""
    import av

    with av.open(str(source), options=SAFE) as container:
        if not container.streams.audio:
            return
        interleaved = av.AudioResampler(format="flt")
        for frame in container.decode(container.streams.audio[0]):
            yield from interleaved.resample(frame)
