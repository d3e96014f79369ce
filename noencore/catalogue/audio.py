"""Spans of an audio file of any format that libsndfile or FFmpeg (PyAV) reads, as mono at the file's own rate.

A file is decoded once from its beginning, and a span is in memory while it is read alone, however long the file is or
says it is. What is wrong with a file is a BadAudio with a status and a reason; decoders meet foreign bytes here, so
anything that they raise ends as that.
"""

import os
import re
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile

from noencore.catalogue.listing import DEMUXERS

LONGEST = 4 * 3600.0  # s: longer files are refused, and no more than this is decoded of one that hides its length
BLOCK = 65536  # frames at a time
# Formats of libsndfile, by FFmpeg's demuxer, that it reads wrongly after a seek, and soundfile seeks after every block:
# hundreds of frames off in ogg, and in mp3 silence or noise in place of what a packet borrows from those before.
UNSEARCHED = {"MP3": "mp3", "MPEG": "mp3", "OGG": "ogg"}
RATES, MOST_CHANNELS = (1000, 768_000), 64
TAIL = 0.97  # a file whose audio ends before this share of what it declares is cut off
UNKNOWN_FRAMES = 2**63 - 1  # libsndfile's, of a flac that was written into a pipe
PIPED = (0x7FFF0000, 0x7FFFFFFF), (0xFFFF0000, 0xFFFFFFFF)  # bytes in the head of a wav written into a pipe: from, to
GUESSED = ("aac", "ac3", "mp3")  # formats that say no length: FFmpeg takes the first frames for as dense as the rest


class BadAudio(Exception):
    """What is wrong with a recording: `status`, one word, and `reason`."""

    def __init__(self, status, reason):
        super().__init__(reason)
        self.status, self.reason = status, reason


class Span(NamedTuple):
    """So many frames from the first on, and what is made of their wave, float32 [n], once they are read."""

    first: int
    count: int
    result: Callable[[np.ndarray], Any] = lambda wave: wave


def read_spans(path, choose):
    """Spans of a file: (rate in Hz, channels, list of their results), channels averaged.

    choose: function (frames, rate) -> list of `Span` in any order; it may raise BadAudio. A span that the file ends in
    is shorter than asked. Raises BadAudio where the file cannot be read, is cut off, or too long.
    """
    if os.path.getsize(path) == 0:  # PyAV would print a traceback
        raise BadAudio("unreadable", "an empty file")
    try:
        file = soundfile.SoundFile(path)
    except (soundfile.SoundFileError, OSError, TypeError):
        return _guarded(_read_with_ffmpeg, (path, DEMUXERS[Path(path).suffix.lower()], None), choose)
    with file:
        if file.format == "RAW":  # what libsndfile takes any bytes for, after the suffix .au or .snd
            raise BadAudio("unreadable", "no head that says what is in it")
        if file.frames == 0:
            raise BadAudio("unreadable", "no audio in it, or cut off")
        if file.frames == UNKNOWN_FRAMES or not file.seekable() or file.format in UNSEARCHED:
            form = UNSEARCHED.get(file.format, file.format.lower())
            said = None if file.frames == UNKNOWN_FRAMES else file.frames / file.samplerate
            return _guarded(_read_with_ffmpeg, (path, form, said), choose)
        return _guarded(_read_with_sndfile, file, choose)


def _guarded(read, source, choose):
    try:
        return read(source, choose)
    except BadAudio:
        raise
    except Exception as error:
        raise BadAudio("unreadable", f"cannot be decoded ({type(error).__name__})") from None


def _check(frames, rate, channels):
    if not RATES[0] <= rate <= RATES[1] or not 1 <= channels <= MOST_CHANNELS:
        raise BadAudio("unreadable", f"{rate} Hz, {channels} channels")
    if frames > LONGEST * rate:
        raise BadAudio("long", f"longer than {LONGEST / 3600:.0f} hours; cut it into works")


def _check_whole(frames, rate, seconds):
    if seconds and frames < (TAIL * seconds - 0.1) * rate:
        raise BadAudio("truncated", "ends before the length that its header gives")


def _read_with_sndfile(file, choose):
    _check(file.frames, file.samplerate, file.channels)
    spans = choose(file.frames, file.samplerate)
    # libsndfile counts what is there and tells only in its log that the header promised more.
    promised = re.findall(r"(?:data|SSND) : (\d+) \(should be \d+\)", file.extra_info)
    if not all(_is_piped(int(size)) for size in promised) or not _has_tail(file):
        raise BadAudio("truncated", "ends before the length that its header gives")
    begin = min([file.frames, *(span.first for span in spans)])
    end = max([begin, *(span.first + span.count for span in spans)])
    file.seek(begin)
    blocks = file.blocks(blocksize=BLOCK, frames=end - begin, dtype="float32", always_2d=True)
    return file.samplerate, file.channels, _results(spans, (block.mean(axis=1) for block in blocks), begin)


def _results(spans, blocks, place):
    """The result of each span, from mono blocks in a row, of which the first begins at the frame `place`."""
    results = [None] * len(spans)
    waiting = deque(sorted(range(len(spans)), key=lambda number: spans[number].first))
    pieces = {}  # of the spans that are being read

    def close(number):
        results[number] = spans[number].result(np.concatenate([np.zeros(0, np.float32), *pieces.pop(number)]))

    for block in blocks:
        after = place + len(block)
        while waiting and spans[waiting[0]].first < after:
            pieces[waiting.popleft()] = []
        for number in list(pieces):
            first, count, _ = spans[number]
            pieces[number].append(block[max(0, first - place) : first + count - place])
            if first + count <= after:
                close(number)
        place = after
    pieces |= {number: [] for number in waiting}
    for number in list(pieces):
        close(number)
    return results


def _is_piped(size):
    return any(first <= size <= last for first, last in PIPED)


def _has_tail(file):
    try:
        file.seek(int(file.frames * TAIL))
        return len(file.read(1, always_2d=True)) == 1
    except soundfile.SoundFileError:
        return False


def _read_with_ffmpeg(source, choose):
    """From the beginning to the end, without a seek; before that once more to count the frames where nobody said.

    source: path, FFmpeg's name of the format, and the seconds that it is known to have, or None.
    """
    path, form, said = source
    rate, channels, declared = next(_decode(path, form), (None, (0, 0, None)))[1]
    frames = _count(path, form) if said is None else round(said * rate)
    if frames == 0:
        raise BadAudio("unreadable", "no audio in it")
    _check(frames, rate, channels)
    _check_whole(frames, rate, declared)
    spans = choose(frames, rate)
    read = 0

    def mono():
        nonlocal read
        for block, _ in _decode(path, form):
            read += len(block)
            yield block.mean(axis=1)

    results = _results(spans, mono(), 0)
    _check_whole(read, rate, said)
    return rate, channels, results


def _count(path, form):
    """Frames of a file, which headers tell badly."""
    frames = 0
    for block, (rate, channels, _) in _decode(path, form):
        frames += len(block)
        _check(frames, rate, channels)
    return frames


def _declared(container, stream):
    """Seconds that a file says its audio lasts, None where it does not say. Its film, if it has one, may be longer."""
    import av

    if container.format.name in GUESSED:
        return None
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration and not container.streams.video else None


def _decode(path, form):
    """Blocks float32 [n, channels] of the first audio stream, each with (rate, channels, declared seconds or None).

    FFmpeg is given an open file and the format's name, so neither a name nor a playlist makes it open anything else.
    """
    import av

    with open(path, "rb") as file, av.open(file, format=form) as container:
        if not container.streams.audio:
            raise BadAudio("unreadable", "no audio stream in it")
        stream = container.streams.audio[0]
        declared = _declared(container, stream)
        rate, channels = stream.rate, stream.channels
        _check(0, rate, channels)
        # Channels interleaved: PyAV 18.1 dies of eight planes.
        resampler = av.AudioResampler(format="flt", layout=stream.layout, rate=rate)
        for frame in container.decode(stream):
            for same in resampler.resample(frame):
                yield same.to_ndarray().reshape(-1, channels), (rate, channels, declared)
