"""An additive synthesizer: notes in, mono audio out. numpy only, deterministic, nothing to download.

Every partial starts at phase zero with its note, so that a waveform is a function of pitch, timbre and time since the
onset alone: real enough to have pitch, rhythm and timbre, simple enough for a small codec.
"""

from dataclasses import dataclass

import numpy as np

SAMPLE_RATE = 16000  # Hz


@dataclass(frozen=True)
class Timbre:
    """How one instrument sounds.

    partials: amplitude of harmonic 1, 2, 3, ... relative to the first.
    attack, release: linear ramps in s. decay: time constant in s of an exponential fall after the onset, or None for
    a sustained tone. damping: how much faster each higher partial falls (1 = as fast as the first).
    vibrato: depth in cents at 5.5 Hz, growing over the first 0.3 s.
    """

    partials: tuple[float, ...]
    attack: float
    release: float
    decay: float | None = None
    damping: float = 1.0
    vibrato: float = 0.0


TIMBRES = {
    "fiddle": Timbre((1.0, 0.6, 0.45, 0.25, 0.18, 0.1), attack=0.04, release=0.05, vibrato=8.0),
    "flute": Timbre((1.0, 0.25, 0.06), attack=0.06, release=0.06),
    "organ": Timbre((1.0, 0.7, 0.15, 0.4, 0.0, 0.2), attack=0.015, release=0.03),
    "harp": Timbre((1.0, 0.5, 0.3, 0.15, 0.08), attack=0.004, release=0.04, decay=0.45, damping=1.5),
}


def render(notes, instrument, duration):
    """Render notes to audio.

    notes: iterable of (onset s, length s, MIDI pitch); instrument: a key of TIMBRES; duration: s.
    Returns float32 [duration * SAMPLE_RATE] in -1..1 (a single voice peaks near 0.5). Partials above 7 kHz are left
    out.
    """
    timbre = TIMBRES[instrument]
    audio = np.zeros(round(duration * SAMPLE_RATE))
    for onset, length, pitch in notes:
        first = round(onset * SAMPLE_RATE)
        tone = _tone(timbre, length, 440.0 * 2 ** ((pitch - 69) / 12))
        tone = tone[: max(0, len(audio) - first)]
        audio[first : first + len(tone)] += tone
    return audio.astype(np.float32)


def _tone(timbre, length, frequency):
    samples = round((length + timbre.release) * SAMPLE_RATE)
    time = np.arange(samples) / SAMPLE_RATE
    cycles = frequency * time
    if timbre.vibrato:
        depth = timbre.vibrato / 1200 * np.log(2) * np.minimum(time / 0.3, 1.0)
        cycles = np.cumsum(frequency * (1 + depth * np.sin(2 * np.pi * 5.5 * time))) / SAMPLE_RATE
    envelope = np.minimum(time / timbre.attack, 1.0) * np.minimum(
        (length + timbre.release - time) / timbre.release, 1.0
    )
    tone = np.zeros(samples)
    for number, amplitude in enumerate(timbre.partials, start=1):
        if amplitude and number * frequency < 7000:
            partial = amplitude * np.sin(2 * np.pi * number * cycles)
            if timbre.decay:
                partial *= np.exp(-time / timbre.decay * timbre.damping ** (number - 1))
            tone += partial
    return 0.5 / sum(timbre.partials) ** 0.5 * envelope * tone
