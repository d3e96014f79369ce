"""PaSST (Koutini et al., 2022, arXiv 2110.05069) in torch, with the weights of its release; timm is not needed.

A window gives the 768-d mean of the class and the distillation token, and the logits of the 527 classes of AudioSet.
How long a window is follows from the checkpoint: it is what its position embedding of time covers, 10 s in the one
that `weights` knows and 20 s in `passt-s-f128-20sec-p16-s10-ap.474-swa.pt`. Windows overlap by a half. A clip shorter
than a window is taken at its own length, as the model's package does, so no window of it is padded.

What the presets of the KL divergence make of these windows, for clips whose length is a whole number of hops:
* stable-audio (10 s, every 5 s): all windows. Exact from 10 s on; its tail and its shorter clips are padded with zeros.
* audiocraft (no overlap, the tail at its own length): every second window. Exact up to one window, and for whole
  multiples of it. MusicGen's own numbers are those of the checkpoint with 20 s.
"""

import torch
import torch.nn.functional as F
from torch import nn

from noencore.embeddings import Embedded, EmbeddingModel, fixed_windows
from noencore.embeddings.weights import PASST, read_checkpoint, verified_file, wrong_checkpoint

SAMPLE_RATE = 32_000
N_FFT, FRAME, FRAME_HOP, N_MELS, HIGHEST = 1024, 800, 320, 128, 15_000
PATCH, STRIDE, HEAD = 16, 10, 64
SHORTEST = (PATCH - 1) * FRAME_HOP + 1  # samples of one patch, 0.15 s
BATCH = 4


def load(weights=None):
    """Load the model from `weights`/passt. Raises UserError, naming the file, for missing or wrong weights."""
    path, sha256 = verified_file("passt", PASST, weights)
    with wrong_checkpoint(path, PASST):
        network = PaSST(read_checkpoint(path, PASST))
    window, filters = network.seconds * SAMPLE_RATE, mel_filters()

    def embed(wave):
        length = min(max(len(wave), SHORTEST), window)
        windows, padded = fixed_windows(wave, length, window // 2)
        parts = [network(log_mel(part, filters)) for part in torch.from_numpy(windows).split(BATCH)]
        embeddings, logits = (torch.cat(parts_of_one).numpy() for parts_of_one in zip(*parts))
        return Embedded(embeddings, padded, logits)

    return EmbeddingModel(
        "passt",
        SAMPLE_RATE,
        float(network.seconds),
        network.seconds / 2,
        network.dimension,
        sha256,
        embed,
        classes=network.classes,
    )


def mel_filters():
    """Kaldi's mel filterbank up to `HIGHEST` Hz, float32 [N_MELS, N_FFT // 2 + 1]."""
    from torchaudio.compliance.kaldi import get_mel_banks

    filters, _ = get_mel_banks(N_MELS, N_FFT, SAMPLE_RATE, 0.0, HIGHEST, 100.0, -500.0, 1.0)
    return F.pad(filters, (0, 1))


def log_mel(waves, filters):
    """Log-mel power of waves [B, n_samples], after a pre-emphasis, scaled: float32 [B, N_MELS, n_frames]."""
    emphasised = waves[:, 1:] - 0.97 * waves[:, :-1]
    window = torch.hann_window(FRAME, periodic=False)
    spectrum = torch.stft(emphasised, N_FFT, FRAME_HOP, FRAME, window, return_complex=True)
    return (torch.log(filters @ spectrum.abs().square() + 1e-5) + 4.5) / 5


class PaSST(nn.Module):
    """The network, with the names and the sizes of `state`, a state dict. Raises KeyError and RuntimeError.

    seconds: the longest window that it takes.
    """

    def __init__(self, state):
        super().__init__()
        self.dimension, self.classes = state["cls_token"].shape[-1], len(state["head.1.bias"])
        self.seconds = round(state["time_new_pos_embed"].shape[-1] * STRIDE * FRAME_HOP / SAMPLE_RATE)
        for name in ("cls_token", "dist_token", "new_pos_embed", "freq_new_pos_embed", "time_new_pos_embed"):
            self.register_buffer(name, torch.empty_like(state[name]))
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv2d(1, self.dimension, PATCH, STRIDE)
        depth = len({name.split(".")[1] for name in state if name.startswith("blocks.")})
        self.blocks = nn.Sequential(*(Block(self.dimension) for _ in range(depth)))
        self.norm = nn.LayerNorm(self.dimension, eps=1e-6)
        self.head = nn.Sequential(nn.LayerNorm(self.dimension), nn.Linear(self.dimension, self.classes))
        self.head_dist = nn.Linear(self.dimension, self.classes)  # of the training: in the file, and not used
        self.load_state_dict(state)
        self.eval()

    @torch.inference_mode()
    def forward(self, mel):
        """Log-mel windows [B, N_MELS, n_frames] -> embeddings [B, dimension], logits [B, classes]."""
        x = self.patch_embed.proj(mel[:, None])  # [B, dimension, frequency, time]
        x = x + self.time_new_pos_embed[..., : x.shape[-1]] + self.freq_new_pos_embed
        tokens = torch.cat([self.cls_token, self.dist_token], dim=1) + self.new_pos_embed
        x = torch.cat([tokens.expand(len(x), -1, -1), x.flatten(2).transpose(1, 2)], dim=1)
        embedding = self.norm(self.blocks(x))[:, :2].mean(dim=1)
        return embedding, self.head(embedding)


class Block(nn.Module):
    """One layer of a vision transformer: attention and a perceptron, each behind a norm."""

    def __init__(self, dimension):
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(dimension, eps=1e-6) for _ in range(2))
        self.attn, self.mlp = nn.Module(), nn.Module()
        self.attn.qkv, self.attn.proj = nn.Linear(dimension, 3 * dimension), nn.Linear(dimension, dimension)
        self.mlp.fc1, self.mlp.fc2 = nn.Linear(dimension, 4 * dimension), nn.Linear(4 * dimension, dimension)

    def forward(self, x):
        """[B, n_tokens, dimension] -> the same."""
        qkv = self.attn.qkv(self.norm1(x)).unflatten(-1, (3, -1, HEAD)).permute(2, 0, 3, 1, 4)
        x = x + self.attn.proj(F.scaled_dot_product_attention(*qkv).transpose(1, 2).flatten(2))
        return x + self.mlp.fc2(F.gelu(self.mlp.fc1(self.norm2(x))))
