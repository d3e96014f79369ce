"""The synthesizer plays the pitch, at the time, that the notes say, and nothing else."""

import numpy as np
import pytest

from noencore.catalogue.synthesis import SAMPLE_RATE, TIMBRES, render

every_timbre = pytest.mark.parametrize("instrument", sorted(TIMBRES))


def spectrum(audio):
    """Frequencies in Hz and magnitudes, Hann window, padded to 0.25 Hz bins."""
    size = 4 * SAMPLE_RATE
    return np.fft.rfftfreq(size, 1 / SAMPLE_RATE), np.abs(np.fft.rfft(audio * np.hanning(len(audio)), size))


@every_timbre
@pytest.mark.parametrize("pitch", [55, 69, 76, 88])
def test_pitch_is_within_five_cents(instrument, pitch):
    expected = 440 * 2 ** ((pitch - 69) / 12)
    frequency, magnitude = spectrum(render([(0.0, 1.0, pitch)], instrument, 1.0))
    near = np.abs(frequency / expected - 1) < 0.3  # the fundamental, whichever partial is the loudest
    peak = frequency[near][np.argmax(magnitude[near])]
    assert abs(1200 * np.log2(peak / expected)) < 5


@every_timbre
@pytest.mark.parametrize("pitch", [60, 84, 96, 105])
def test_there_is_no_partial_above_7_khz(instrument, pitch):
    frequency, magnitude = spectrum(render([(0.0, 1.0, pitch)], instrument, 1.0))
    assert magnitude[frequency > 7200].max() < 1e-3 * magnitude.max()  # vibrato and window widen a line


@every_timbre
def test_partials_have_the_amplitudes_of_the_timbre(instrument):
    """A pitch of a whole number of Hz, steady in between ramps; vibrato and decay are those of the first partial."""
    audio = render([(0.0, 1.0, 69)], instrument, 1.0)
    frequency, magnitude = spectrum(audio)
    lines = [
        magnitude[np.abs(frequency - 440 * n) < 100].max() for n in range(1, len(TIMBRES[instrument].partials) + 1)
    ]
    ranks = np.argsort(np.argsort(lines)), np.argsort(np.argsort(TIMBRES[instrument].partials))
    assert np.array_equal(*ranks)


@every_timbre
def test_amplitude_stays_within_one_at_the_fastest_notes(instrument):
    for length in (0.0625, 0.1, 0.3):
        notes = [(i * length, length, 55 + interval) for i, interval in enumerate([0, 0, 0, 2, 0, 12, 0, 7, 19, 0])]
        audio = render(notes, instrument, 4.0)
        assert 0.1 < np.abs(audio).max() < 1


@every_timbre
def test_there_is_silence_outside_notes(instrument):
    audio = render([(0.5, 0.25, 69), (1.5, 0.25, 72)], instrument, 3.0)
    heard = np.zeros(len(audio), dtype=bool)
    for onset in (0.5, 1.5):
        end = onset + 0.25 + TIMBRES[instrument].release
        heard[round(onset * SAMPLE_RATE) : round(end * SAMPLE_RATE)] = True
    assert not audio[~heard].any()
    assert np.abs(audio[heard]).mean() > 0.01


@every_timbre
@pytest.mark.parametrize("duration", [0.3, 1.0, 2.00003])
def test_duration_is_exact_and_notes_are_cut_at_the_end(instrument, duration):
    audio = render([(0.0, 5.0, 69), (9.0, 1.0, 69)], instrument, duration)
    assert audio.shape == (round(duration * SAMPLE_RATE),)
    assert audio.dtype == np.float32


@every_timbre
def test_rendering_is_deterministic(instrument):
    notes = [(0.0, 0.3, 69), (0.3, 0.3, 71)]
    assert render(notes, instrument, 1.0).tobytes() == render(notes, instrument, 1.0).tobytes()


@every_timbre
def test_notes_add_up_and_a_later_onset_shifts_the_wave(instrument):
    one, two = (render([(onset, 0.3, 69)], instrument, 1.0) for onset in (0.0, 0.25))
    np.testing.assert_allclose(render([(0.0, 0.3, 69), (0.25, 0.3, 69)], instrument, 1.0), one + two, atol=1e-6)
    np.testing.assert_array_equal(two[SAMPLE_RATE // 4 :], one[: -SAMPLE_RATE // 4])


def test_timbres_differ():
    waves = {render([(0.0, 0.3, 69)], instrument, 0.5).tobytes() for instrument in TIMBRES}
    assert len(waves) == len(TIMBRES)
