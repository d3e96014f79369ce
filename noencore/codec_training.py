"""Training the small codec: reconstruction losses only, no adversary.

The loss is the sum of a waveform term, -SNR in dB (scaled), a multi-resolution STFT term (Yamamoto et al. 2020,
Parallel WaveGAN, eq. 4-6: spectral convergence and log magnitude), and the quantizer's commitment loss.
"""

from dataclasses import dataclass

import numpy as np
import torch

from noencore.catalogue.abc import read_collection, read_notes
from noencore.catalogue.performance import TEMPI, kind, seconds
from noencore.catalogue.synthesis import TIMBRES, render
from noencore.codec import build
from noencore.pitch import read_pitches

STFT_SIZES = (128, 512, 2048)


@dataclass(frozen=True)
class CodecTraining:
    """steps of `batch` random crops of `crop` s; AdamW, one-cycle cosine learning rate with 2 % warm-up."""

    steps: int
    batch: int = 16
    crop: float = 1.0
    lr: float = 2e-3
    seed: int = 0


def snr_db(reference, estimate):
    """Signal-to-noise ratio in dB over the last axis, numpy or torch."""
    module = torch if isinstance(reference, torch.Tensor) else np
    return 10 * module.log10((reference**2).sum(-1) + 1e-5) - 10 * module.log10(
        ((reference - estimate) ** 2).sum(-1) + 1e-5
    )


def stft_loss(reference, estimate):
    """Multi-resolution STFT loss of [B, n_samples] pairs: a scalar."""
    total = 0.0
    for size in STFT_SIZES:
        window = torch.hann_window(size)
        a, b = (
            torch.stft(x, size, size // 4, window=window, return_complex=True).abs().clamp(min=1e-4)
            for x in (reference, estimate)
        )
        total = total + (a - b).norm() / a.norm() + 0.5 * (a.log() - b.log()).abs().mean()
    return total / len(STFT_SIZES)


def train(waves, config, settings, progress=iter, report=lambda **values: None):
    """Train a codec on waves (list of float32 arrays, config.sample_rate Hz); returns the EncodecModel in eval mode.

    `report` is called every 100 steps with step, snr (dB) and loss, means since the last call.
    """
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    model = build(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.lr, betas=(0.8, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.lr, settings.steps, pct_start=0.02)
    crop = round(settings.crop * config.sample_rate)
    seen = []
    for step in progress(range(settings.steps)):
        audio = torch.from_numpy(_crops(waves, crop, settings.batch, rng))
        result = model(audio[:, None])
        estimate = result.x[:, 0]
        snr = snr_db(audio, estimate).mean()
        loss = -0.1 * snr + stft_loss(audio, estimate) + result.penalty
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        seen.append((float(snr.detach()), float(loss.detach())))
        if (step + 1) % 100 == 0:
            report(step=step + 1, snr=np.mean(seen[-100:], axis=0)[0], loss=np.mean(seen[-100:], axis=0)[1])
    return model.eval()


def _crops(waves, crop, batch, rng):
    chosen = rng.integers(len(waves), size=batch)
    starts = [rng.integers(len(waves[i]) - crop + 1) for i in chosen]
    gains = rng.uniform(0.7, 1.2, size=(batch, 1))
    return (np.stack([waves[i][s : s + crop] for i, s in zip(chosen, starts)]) * gains).astype(np.float32)


def training_waves(collection, tunes, duration, seed):
    """Renders of a seeded draw of `tunes` tunes of a music21 ABC collection, each with a drawn timbre.

    Returns (waves, held_out): lists of float32 [duration * SAMPLE_RATE]; every tenth tune is held out.
    """
    rng = np.random.default_rng(seed)
    found = read_collection(collection)
    waves, held_out = [], []
    for index, chosen in enumerate(rng.permutation(len(found))[:tunes]):
        instrument = rng.choice(sorted(TIMBRES))
        try:
            notes = seconds(read_notes(found[chosen]), TEMPI[kind(found[chosen])])
        except ValueError:
            continue
        (held_out if index % 10 == 0 else waves).append(render(notes[notes[:, 0] < duration], instrument, duration))
    return waves, held_out


def evaluate(codec, waves):
    """How good a codec is on waves it has not seen: dict of numbers.

    snr_db: mean and standard deviation over waves. pitch_accuracy: share of the frames that librosa's pyin calls voiced
    in the original whose pitch in the decoded wave is voiced and within 50 cents. n: waves; voiced_frames: frames
    behind it.
    """
    decoded = [codec.decode(codec.encode(wave)) for wave in waves]
    waves = [wave[: len(again)] for wave, again in zip(waves, decoded)]
    ratios = [float(snr_db(wave, again)) for wave, again in zip(waves, decoded)]
    pitches = read_pitches([*waves, *decoded], codec.config.sample_rate)
    right, voiced = 0, 0
    for original, again in zip(pitches[: len(waves)], pitches[len(waves) :]):
        heard = ~np.isnan(original)
        cents = 1200 * np.abs(np.log2(again[heard] / original[heard]))
        right, voiced = right + int((cents <= 50).sum()), voiced + int(heard.sum())
    return {
        "snr_db": float(np.mean(ratios)),
        "snr_db_sd": float(np.std(ratios, ddof=1)),
        "pitch_accuracy": right / voiced,
        "voiced_frames": voiced,
        "n": len(waves),
    }
