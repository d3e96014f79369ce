"""VGGish (Hershey et al., 2017, arXiv 1609.09430) in torch, with the weights of torchvggish.

The embedding of a window is the 128-d output of the last layer before its relu, without the PCA and the quantization
of AudioSet's release: what the package frechet-audio-distance takes, and the FAD of most papers. torchvggish's own
`forward` has the relu.
"""

from itertools import pairwise

import numpy as np
import torch
from torch import nn

from noencore.embeddings import Embedded, EmbeddingModel, fixed_windows
from noencore.embeddings.weights import VGGISH, read_checkpoint, verified_file, wrong_checkpoint

SAMPLE_RATE = 16_000
FRAME, FRAME_HOP, N_FFT, N_MELS, N_FRAMES = 400, 160, 512, 64, 96
WINDOW_HOP = N_FRAMES * FRAME_HOP  # 0.96 s
WINDOW = WINDOW_HOP - FRAME_HOP + FRAME  # the last frame is longer than the hop: 0.975 s of sound
LOG_OFFSET = 0.01
BATCH = 32
POOLED_AFTER = (0, 1, 3, 5)  # numbers of the convolutions that a maximum over 2 x 2 follows


def load(weights=None):
    """Load the model from `weights`/vggish. Raises UserError, naming the file, for missing or wrong weights."""
    path, sha256 = verified_file("vggish", VGGISH, weights)
    with wrong_checkpoint(path, VGGISH):
        network = VGGish(read_checkpoint(path, VGGISH))

    def embed(wave):
        windows, padded = fixed_windows(wave, WINDOW, WINDOW_HOP)
        parts = torch.from_numpy(windows).split(BATCH)
        return Embedded(np.concatenate([network(log_mel(part)).numpy() for part in parts]), padded)

    return EmbeddingModel(
        "vggish", SAMPLE_RATE, WINDOW / SAMPLE_RATE, WINDOW_HOP / SAMPLE_RATE, network.dimension, sha256, embed
    )


def mel_filters():
    """HTK's mel filterbank from 125 to 7500 Hz, float64 [N_FFT // 2 + 1, N_MELS].

    The triangles have the height 1 and straight sides on the mel axis; librosa's, on the axis of frequency.
    """

    def to_mel(frequency):
        return 1127 * np.log1p(np.asarray(frequency) / 700)

    corners = np.linspace(to_mel(125), to_mel(7500), N_MELS + 2)
    bins = to_mel(np.fft.rfftfreq(N_FFT, 1 / SAMPLE_RATE))[:, None]
    rise = (bins - corners[:-2]) / (corners[1] - corners[0])
    fall = (corners[2:] - bins) / (corners[1] - corners[0])
    return np.maximum(0, np.minimum(rise, fall))


MEL_FILTERS = torch.from_numpy(mel_filters())


def log_mel(waves):
    """Log-mel magnitudes of waves [B, WINDOW]: float32 [B, N_FRAMES, N_MELS]. In float64 within, as the original."""
    frames = waves.double().unfold(1, FRAME, FRAME_HOP) * torch.hann_window(FRAME, dtype=torch.float64)
    return torch.log(torch.fft.rfft(frames, N_FFT).abs() @ MEL_FILTERS + LOG_OFFSET).float()


class VGGish(nn.Module):
    """The network, with the names and widths of `state`, a state dict. Raises KeyError and RuntimeError."""

    def __init__(self, state):
        super().__init__()
        self.features, channels = nn.Sequential(), 1
        for number in range(6):
            width = len(state[f"features.{len(self.features)}.bias"])
            self.features.extend([nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()])
            channels = width
            if number in POOLED_AFTER:
                self.features.append(nn.MaxPool2d(2))
        widths = [channels * N_FRAMES // 16 * N_MELS // 16, *(len(state[f"embeddings.{n}.bias"]) for n in (0, 2, 4))]
        layers = [nn.Linear(width, next_width) for width, next_width in pairwise(widths)]
        self.embeddings = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
        self.dimension = widths[-1]
        self.load_state_dict(state)
        self.eval()

    @torch.inference_mode()
    def forward(self, mel):
        """Log-mel windows [B, N_FRAMES, N_MELS] -> embeddings [B, dimension]."""
        return self.embeddings(self.features(mel[:, None]).permute(0, 2, 3, 1).flatten(1))  # TensorFlow's order
