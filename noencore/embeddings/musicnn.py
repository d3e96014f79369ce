"""MSD_musicnn (Pons & Serra, 2019, arXiv 1909.06654) in torch, with the weights in the `musicnn` wheel.

The wheel's TensorFlow bundle is read with numpy. The package itself is never imported: it wants TensorFlow.
The embedding of a 3-s window is the 200-d penultimate layer, after its batch normalisation; its logits are those of the
50 tags of the Million Song Dataset, in the order of `tagtext.TAGS`.
"""

import importlib.util
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from noencore.embeddings import Embedded, EmbeddingModel, fixed_windows
from noencore.embeddings.tf_bundle import read_bundle
from noencore.errors import UserError
from noencore.files import sha256

SAMPLE_RATE = 16_000
N_FFT, HOP, N_MELS = 512, 256, 96
WINDOW, WINDOW_HOP = 3 * SAMPLE_RATE, SAMPLE_RATE
N_FRAMES = 187  # of a window: every frame that lies inside it, and the first one, which is reflected
DIMENSION, CLASSES = 200, 50
BATCH = 2  # windows at a time: more of them outgrow the cache of a core and run slower
BLOCK = 8  # frames
BATCH_NORM_EPS = 1e-3


def load(weights=None):
    """Load the model from the installed wheel. Raises UserError, naming the file, for missing weights."""
    data = weights_file()
    model = MusiCNN(read_bundle(data.with_name(".index"), data))

    def embed(wave):
        windows, padded = fixed_windows(wave, WINDOW, WINDOW_HOP)
        parts = [model.forward(log_mel(part)) for part in torch.from_numpy(windows).split(BATCH)]
        embeddings, logits = (torch.cat(of_parts).numpy() for of_parts in zip(*parts))
        return Embedded(embeddings, padded, logits)

    digest = sha256(data)
    return EmbeddingModel(
        "musicnn", SAMPLE_RATE, WINDOW / SAMPLE_RATE, WINDOW_HOP / SAMPLE_RATE, DIMENSION, digest, embed, CLASSES
    )


def weights_file():
    """Path of the weights in the installed `musicnn` package, found without importing it."""
    spec = importlib.util.find_spec("musicnn")
    if spec is None:
        raise UserError("musicnn: the package with the weights is missing; pip install --no-deps musicnn==0.1.0")
    data = Path(spec.submodule_search_locations[0], "MSD_musicnn", ".data-00000-of-00001")
    for path in (data, data.with_name(".index")):
        if not path.is_file():
            raise UserError(f"{path}: missing; pip install --no-deps --force-reinstall musicnn==0.1.0")
    return data


# Sound to log-mel windows


def mel_filters():
    """Slaney's mel filterbank, float32 [N_MELS, N_FFT // 2 + 1]; equal to librosa.filters.mel, whose import
    is slow.

    Linear below 1 kHz (200/3 Hz a mel), logarithmic above (27 steps to a factor of 6.4), triangles of equal
    area.
    """
    linear, logarithmic = 200 / 3, np.log(6.4) / 27
    top = 1000 / linear + np.log(SAMPLE_RATE / 2 / 1000) / logarithmic
    mels = np.linspace(0, top, N_MELS + 2)
    above = np.maximum(mels - 1000 / linear, 0)
    corners = np.where(above > 0, 1000 * np.exp(logarithmic * above), linear * mels)
    bins = np.fft.rfftfreq(N_FFT, 1 / SAMPLE_RATE)
    rise = (bins - corners[:-2, None]) / np.diff(corners)[:-1, None]
    fall = (corners[2:, None] - bins) / np.diff(corners)[1:, None]
    return (np.maximum(0, np.minimum(rise, fall)) * (2 / (corners[2:] - corners[:-2]))[:, None]).astype(np.float32)


MEL_FILTERS = torch.from_numpy(mel_filters())


def log_mel(waves):
    """Log-mel power spectrogram of waves [B, WINDOW]: float32 [B, N_FRAMES, N_MELS].

    The power is rounded to float16 before the logarithm, as in musicnn's training.
    """
    spectrum = torch.stft(waves, N_FFT, HOP, window=torch.hann_window(N_FFT), pad_mode="reflect", return_complex=True)
    power = MEL_FILTERS @ spectrum.abs().square()[..., :N_FRAMES]
    return torch.log10(10_000 * power.half().float() + 1).transpose(1, 2)


# The network


class MusiCNN:
    """musicnn's graph over the variables of `read_bundle`; batch normalisation comes after each relu.

    The names of the variables are numbered in the order of the graph: conv2d ... conv2d_7,
    batch_normalization ... _10.
    """

    def __init__(self, variables):
        self.variables = {name: torch.from_numpy(value) for name, value in variables.items()}
        signed = [self._convolution(layer)[0] * self._sign(layer)[:, None, None, None] for layer in range(5)]
        self.signed = [*(kernel.contiguous() for kernel in signed[:2]), *map(self._blocked, signed[2:])]

    @torch.inference_mode()
    def forward(self, mel):
        """Log-mel windows [B, N_FRAMES, N_MELS] -> penultimate [B, DIMENSION], tag logits [B, CLASSES]."""
        x = self._norm(mel[..., None], 0)[..., 0]
        timbral = [self._timbral(x, layer) for layer in (0, 1)]
        temporal = [self._temporal(x, layer) for layer in (2, 3, 4)]
        maps = [torch.cat(timbral + temporal, dim=2)]  # [B, T, 561]
        for layer in (5, 6, 7):
            new = self._dense_in_time(maps[-1], layer)
            maps.append(new if layer == 5 else new + maps[-1])
        maps = torch.cat(maps, dim=2)  # [B, T, 753]
        pooled = torch.stack([maps.amax(dim=1), maps.mean(dim=1)], dim=2).flatten(1)  # maximum and mean alternate
        penultimate = self._norm(F.relu(self._linear(self._norm(pooled, 9), "dense")), 10)
        return penultimate, self._linear(penultimate, "dense_1")

    def _timbral(self, x, layer):
        """Tall filters: 7 frames by much of the spectrum, maximum over frequency. [B, T, F] -> [B, T, C]"""
        y = F.conv2d(x[:, None], self.signed[layer], padding=(3, 0))
        return self._bias_and_norm(y.amax(dim=3).transpose(1, 2), layer)

    def _temporal(self, x, layer):
        """Long filters: up to 128 frames of one mel band, maximum over frequency. [B, T, F] -> [B, T, C]

        A product of matrices makes BLOCK frames at once, with the channels last: the maximum is then the cheap part.
        """
        kernel = self.signed[layer]
        length, frames = len(kernel) - BLOCK + 1, x.shape[1]
        padding = ((length - 1) // 2, length // 2 + -frames % BLOCK)  # TensorFlow's SAME, to whole blocks
        blocks = F.pad(x.transpose(1, 2), padding).unfold(2, len(kernel), BLOCK)
        y = (blocks.flatten(0, 2) @ kernel).unflatten(0, blocks.shape[:3]).amax(dim=1)
        return self._bias_and_norm(y.reshape(len(x), blocks.shape[2] * BLOCK, -1)[:, :frames], layer)

    def _dense_in_time(self, x, layer):
        """7 frames of all channels. [B, T, C] -> [B, T, 64]"""
        kernel, bias = self._convolution(layer)
        y = F.relu(F.conv1d(x.transpose(1, 2), kernel[:, 0].transpose(1, 2), bias, padding=3))
        return self._norm(y.transpose(1, 2), layer + 1)

    def _bias_and_norm(self, y, layer):
        """What follows a convolution, after the maximum: bias, relu, batch normalisation. [B, T, C] -> [B, T, C]

        The maximum comes first, which is cheaper and the same: bias and relu never fall, and where the normalisation
        does, the sign of the kernel was turned, so that `y` is minus the minimum.
        """
        return self._norm(F.relu(y * self._sign(layer) + self._convolution(layer)[1]), layer + 1)

    def _sign(self, layer):
        """Minus one where the batch normalisation after a convolution turns the order of values, else one: [C_out]."""
        return torch.where(self.variables[f"batch_normalization_{layer + 1}/gamma"] >= 0, 1.0, -1.0)

    def _blocked(self, kernel):
        """[C_out, 1, time, 1] -> [time + BLOCK - 1, BLOCK * C_out]: column block i is the kernel, i frames later."""
        shifted = torch.zeros(kernel.shape[2] + BLOCK - 1, BLOCK, len(kernel))
        for i in range(BLOCK):
            shifted[i : i + kernel.shape[2], i] = kernel[:, 0, :, 0].T
        return shifted.flatten(1)

    def _convolution(self, layer):
        """Kernel [C_out, C_in, time, frequency] and bias of convolution number `layer`."""
        name = f"conv2d_{layer}" if layer else "conv2d"
        return self.variables[f"{name}/kernel"].permute(3, 2, 0, 1), self.variables[f"{name}/bias"]

    def _linear(self, x, name):
        return x @ self.variables[f"{name}/kernel"] + self.variables[f"{name}/bias"]

    def _norm(self, x, number):
        """Batch normalisation over the last axis, with the moving statistics."""
        name = f"batch_normalization_{number}" if number else "batch_normalization"
        gamma, beta, mean, variance = (
            self.variables[f"{name}/{part}"] for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        scale = gamma / torch.sqrt(variance + BATCH_NORM_EPS)
        return x * scale + (beta - mean * scale)
