"""Spectrogram pictures: small, without axes, and in the same colours for all sounds that are shown side by side."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from noencore.files import atomic

ROWS, COLUMNS = 120, 360  # pixels: mel bands and moments
WINDOW = 0.064  # s of sound behind one moment
RANGE_DB = 70.0  # below the loudest point of the sounds; what is softer is black
SHADES = 48  # of the colour map, 1.5 dB each: more of them make a file that is larger and looks the same
FLOOR = 1e-12  # of a power, before its logarithm is taken
IN_WORDS = (
    f"Time runs from left to right, pitch from 0 Hz at the bottom to half the sample rate at the top on the mel scale; "
    f"all pictures of a clip share one scale, from its loudest point (brightest) to {RANGE_DB:g} dB below it (black)."
)


def draw_spectrograms(waves, rates, paths):
    """Write a PNG of ROWS x COLUMNS pixels for each of the waves, float [n_samples], of their rates in Hz."""
    from matplotlib import colormaps
    from PIL import Image  # matplotlib's own: imsave writes four bytes a pixel, and files three times as large

    palette = np.round(255 * colormaps["magma"](np.linspace(0, 1, SHADES))[:, :3]).astype(np.uint8)
    for shades, path in zip(shaded([mel_powers(*sound) for sound in zip(waves, rates)]), paths, strict=True):
        image = Image.fromarray(shades, mode="P")
        image.putpalette(palette.tobytes())
        with atomic(path) as temporary:
            image.save(temporary, format="PNG", optimize=True)


def shaded(powers):
    """Numbers of shades, uint8 [ROWS, COLUMNS] with the highest pitch first, of powers [ROWS, COLUMNS] on one scale."""
    decibels = [10 * np.log10(power + FLOOR) for power in powers]
    loudest = max(map(np.max, decibels))
    shares = [np.clip(1 + (level - loudest) / RANGE_DB, 0, 1)[::-1] for level in decibels]
    return [np.round((SHADES - 1) * share).astype(np.uint8) for share in shares]


def mel_powers(wave, rate):
    """Power in ROWS mel bands at COLUMNS moments, [ROWS, COLUMNS], of a wave [n_samples] at `rate` Hz.

    The moments are even from the first sample to the last, each the middle of a Hann window; the ends are mirrored, as
    a step to silence would be a click. Parts of a long wave that no window covers do not show.
    """
    window = round(WINDOW * rate)
    n_fft = 1 << (2 * window - 1).bit_length()  # twice the window: then every band has a frequency of its own
    middles = np.round(np.linspace(0, len(wave) - 1, COLUMNS)).astype(int)
    frames = sliding_window_view(np.pad(wave, window // 2, mode="reflect"), window)[middles] * np.hanning(window)
    return mel_filters(rate, n_fft) @ np.abs(np.fft.rfft(frames, n_fft)).T ** 2


def mel_filters(rate, n_fft):
    """Triangles of height 1, even on the mel scale from 0 Hz to rate / 2: [ROWS, n_fft // 2 + 1].

    mel = 2595 log10(1 + f / 700 Hz) (O'Shaughnessy, 1987; HTK).
    """
    highest = 2595 * np.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, highest, ROWS + 2) / 2595) - 1)
    frequencies, widths = np.fft.rfftfreq(n_fft, 1 / rate), np.diff(edges)[:, None]
    rising = (frequencies - edges[:-2, None]) / widths[:-1]
    falling = (edges[2:, None] - frequencies) / widths[1:]
    return np.clip(np.minimum(rising, falling), 0, None)
