"""Training the codec: its losses in closed form, and the same weights from the same seed."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from noencore.catalogue.synthesis import SAMPLE_RATE
from noencore.codec import CodecConfig
from noencore.codec_training import CodecTraining, evaluate, snr_db, stft_loss, train, training_waves

logging.getLogger("xformers").setLevel(logging.ERROR)  # its CUDA extensions do not load, and none is used

CONFIG = CodecConfig(filters=4, dimension=8, ratios=(4, 4, 5), codebooks=2, card=8)
SETTINGS = CodecTraining(steps=3, batch=2, crop=0.25)

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def waves():
    time = np.arange(16000) / 16000
    return [np.sin(2 * np.pi * frequency * time).astype(np.float32) for frequency in (220, 440)]


@pytest.mark.parametrize("module", [np.asarray, torch.from_numpy])
def test_an_error_of_a_tenth_of_the_amplitude_is_20_db(waves, module):
    reference = module(np.stack(waves))
    np.testing.assert_allclose(snr_db(reference, 0.9 * reference), 20.0, atol=1e-4)
    np.testing.assert_allclose(snr_db(reference, 0 * reference), 0.0, atol=1e-4)
    np.testing.assert_allclose(snr_db(reference, -reference), -20 * np.log10(2), atol=1e-4)


def test_a_perfect_copy_and_silence_have_a_finite_ratio(waves):
    assert 60 < snr_db(waves[0], waves[0]) < 200
    assert snr_db(0 * waves[0], 0 * waves[0]) == 0


def test_stft_loss_is_zero_for_a_copy_alone(waves):
    one, two = (torch.from_numpy(wave)[None] for wave in waves)
    assert stft_loss(one, one) == 0
    assert stft_loss(one, two) > stft_loss(one, 0.9 * one + 0.1 * two) > 0


def test_stft_loss_ignores_the_sign_of_a_wave(waves):
    wave = torch.from_numpy(waves[0])[None]
    assert stft_loss(wave, -wave).item() == pytest.approx(0, abs=1e-6)


def test_stft_loss_of_half_the_amplitude_in_closed_form():
    """Spectral convergence is 1/2; the log magnitudes differ by ln 2, and half of that counts."""
    noise = torch.randn(2, 16000, generator=torch.Generator().manual_seed(0))
    assert stft_loss(noise, noise / 2).item() == pytest.approx(0.5 + 0.5 * np.log(2), rel=1e-3)


def test_the_same_seed_trains_the_same_weights(waves):
    one, two = (train(waves, CONFIG, SETTINGS).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_another_seed_trains_others(waves):
    one, two = (train(waves, CONFIG, CodecTraining(3, 2, 0.25, seed=seed)).state_dict() for seed in (0, 1))
    assert any(not torch.equal(one[name], two[name]) for name in one)


def test_training_raises_the_ratio_and_reports_it(waves):
    reports = []
    model = train(waves, CONFIG, CodecTraining(200, 4, 0.25, lr=5e-3), report=lambda **row: reports.append(row))
    assert not model.training
    assert [row["step"] for row in reports] == [100, 200]
    assert reports[1]["snr"] > reports[0]["snr"]
    assert reports[1]["loss"] < reports[0]["loss"]


def test_training_waves_are_seeded_renders_of_one_length():
    one, two = (training_waves("airdsAirs", 12, 2.0, seed=0) for _ in range(2))
    assert 8 <= len(one[0]) <= 10
    assert len(one[1]) == 2
    for wave, again in zip(one[0] + one[1], two[0] + two[1], strict=True):
        assert wave.shape == (2 * SAMPLE_RATE,)
        assert wave.tobytes() == again.tobytes()


def fake_codec(change):
    """A codec whose decoded wave is a function of the wave."""
    return SimpleNamespace(config=CONFIG, encode=lambda wave: wave, decode=change)


def test_a_perfect_codec_keeps_every_pitch(waves):
    found = evaluate(fake_codec(lambda wave: wave), waves)
    assert (found["pitch_accuracy"], found["n"]) == (1.0, 2)
    assert found["snr_db"] > 60
    assert found["voiced_frames"] > 20


def test_a_codec_that_halves_the_amplitude_keeps_pitch_but_not_level(waves):
    found = evaluate(fake_codec(lambda wave: wave / 2), waves)
    assert found["pitch_accuracy"] == 1.0
    assert found["snr_db"] == pytest.approx(20 * np.log10(2), abs=1e-3)
    assert found["snr_db_sd"] == pytest.approx(0, abs=1e-3)


def test_a_codec_that_plays_another_tune_keeps_none(waves):
    assert evaluate(fake_codec(lambda wave: waves[0] if wave is waves[1] else waves[1]), waves)["pitch_accuracy"] == 0
