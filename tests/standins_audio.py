"""Weights of released embedding models, made here with random values in the released files' formats.

    weights/vggish/{vggish-10086976.pth,SHA256SUMS}
    weights/laion_clap/{music_audioset_epoch_15_esc_90.14.pt,vocab.json,merges.txt,SHA256SUMS}
    weights/passt/{passt-s-f128-p16-s10-ap.476-swa.pt,SHA256SUMS}

`TOY` sizes are for tests, `RELEASED` are those of the real files. SHA256SUMS declares the files: they are not the ones
that the library's table knows.
"""

import importlib.util
import pickle
import sys
import warnings
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from standins import CAPTIONS

from noencore.embeddings.weights import CLAP, DECLARED, PASST, VGGISH
from noencore.files import sha256


@dataclass(frozen=True)
class Size:
    """Widths and depths. passt_patches: how many the position embedding of time covers, 9.9 a second."""

    vggish: tuple = (4, 6, 8, 8, 10, 10)
    vggish_linear: tuple = (32, 32, 16)
    passt: int = 64
    passt_layers: int = 2
    passt_patches: int = 9
    passt_classes: int = 11
    htsat: int = 8
    htsat_layers: tuple = (2, 2, 2, 2)
    htsat_heads: tuple = (1, 2, 2, 4)
    clap: int = 24
    roberta: int = 64
    roberta_layers: int = 2
    roberta_hidden: int = 128
    roberta_positions: int = 80
    roberta_vocabulary: int = 400


TOY = Size()
RELEASED = Size(
    vggish=(64, 128, 256, 256, 512, 512),
    vggish_linear=(4096, 4096, 128),
    passt=768,
    passt_layers=12,
    passt_patches=99,
    passt_classes=527,
    htsat=128,
    htsat_layers=(2, 2, 12, 2),
    htsat_heads=(4, 8, 16, 32),
    clap=512,
    roberta=768,
    roberta_layers=12,
    roberta_hidden=3072,
    roberta_positions=514,
    roberta_vocabulary=50265,
)


def make_weights(weights, size=TOY, seed=0):
    """Write the weights of all three models; return the directory, a Path."""
    weights = Path(weights)
    with torch.random.fork_rng(devices=[]):
        for write in (write_vggish, write_passt, write_clap):
            torch.manual_seed(seed)
            write(weights, size)
    return weights


def declare(folder):
    """Write SHA256SUMS over the files of a folder, as sha256sum does."""
    files = sorted(path for path in Path(folder).iterdir() if path.name != DECLARED)
    Path(folder, DECLARED).write_text("".join(f"{sha256(path)}  {path.name}\n" for path in files))


def write_vggish(weights, size=TOY):
    """A state dict in torch's format of before 1.6, as the released one."""
    places, channels, state = (0, 3, 6, 8, 11, 13), 1, OrderedDict()
    for place, width in zip(places, size.vggish):
        state |= _layer(f"features.{place}", width, channels, 3, 3)
        channels = width
    inputs = channels * 4 * 6
    for place, width in zip((0, 2, 4), size.vggish_linear):
        state |= _layer(f"embeddings.{place}", width, inputs)
        inputs = width
    folder = _folder(weights, "vggish")
    torch.save(state, folder / VGGISH.name, _use_new_zipfile_serialization=False)
    declare(folder)


def write_passt(weights, size=TOY):
    """A state dict."""
    width = size.passt
    state = OrderedDict(
        cls_token=torch.randn(1, 1, width),
        dist_token=torch.randn(1, 1, width),
        new_pos_embed=torch.randn(1, 2, width),
        freq_new_pos_embed=torch.randn(1, width, 12, 1),
        time_new_pos_embed=torch.randn(1, width, 1, size.passt_patches),
    )
    state |= _layer("patch_embed.proj", width, 1, 16, 16)
    for block in range(size.passt_layers):
        name = f"blocks.{block}"
        state |= _norm(f"{name}.norm1", width) | _layer(f"{name}.attn.qkv", 3 * width, width)
        state |= _layer(f"{name}.attn.proj", width, width) | _norm(f"{name}.norm2", width)
        state |= _layer(f"{name}.mlp.fc1", 4 * width, width) | _layer(f"{name}.mlp.fc2", width, 4 * width)
    state |= _norm("norm", width) | _norm("head.0", width)
    state |= _layer("head.1", size.passt_classes, width) | _layer("head_dist", size.passt_classes, width)
    folder = _folder(weights, "passt")
    torch.save(state, folder / PASST.name)
    declare(folder)


def write_clap(weights, size=TOY):
    """A checkpoint of laion-clap's training, with its optimizer's state, and RoBERTa's two tokenizer files."""
    folder = _folder(weights, "laion_clap")
    write_tokenizer(folder)
    parts = {"audio_branch": original_htsat(size), "text_branch": original_roberta(size)}
    state = {f"{part}.{name}": tensor for part, module in parts.items() for name, tensor in module.state_dict().items()}
    state["text_branch.embeddings.position_ids"] = torch.arange(size.roberta_positions)[None]
    for name, inputs in {"text_projection": size.roberta, "audio_projection": 8 * size.htsat}.items():
        state |= _layer(f"{name}.0", size.clap, inputs) | _layer(f"{name}.2", size.clap, size.clap)
    state["text_projection.2.bias"] = _centre(state, parts["text_branch"], folder)
    for name in ("text_transform", "audio_transform"):
        state |= _layer(f"{name}.sequential.0", size.clap, size.clap)
        state |= _layer(f"{name}.sequential.3", size.clap, size.clap)
    state |= {"logit_scale_a": torch.tensor(2.66), "logit_scale_t": torch.tensor(2.66)}
    group = {"lr": np.float64(1e-5), "betas": (0.9, 0.99), "params": [0]}  # numpy's, from the cosine of the schedule
    checkpoint = {
        "epoch": 15,
        "name": "a run",
        "state_dict": OrderedDict((f"module.{name}", tensor) for name, tensor in state.items()),
        "optimizer": {"state": {0: {"step": 9, "exp_avg": torch.zeros(4)}}, "param_groups": [group]},
    }
    torch.save(
        checkpoint, folder / CLAP.name, pickle_module=SimpleNamespace(__name__="pickle", Pickler=PicklerOfNumpy1)
    )
    declare(folder)


@torch.no_grad()
def _centre(state, roberta, folder):
    """The bias that puts the mean of captions at 0: without training they all point the same way, as if collapsed."""
    from transformers import RobertaTokenizer

    tokenizer = RobertaTokenizer(vocab=str(folder / "vocab.json"), merges=str(folder / "merges.txt"))
    pooled = roberta(**tokenizer(CAPTIONS[::25], padding=True, return_tensors="pt")).pooler_output
    hidden = F.linear(pooled, state["text_projection.0.weight"], state["text_projection.0.bias"]).relu()
    return -F.linear(hidden, state["text_projection.2.weight"]).mean(dim=0)


class PicklerOfNumpy1(pickle._Pickler):
    """Writes numpy's scalars under the name that they had before numpy 2."""

    def save_global(self, obj, name=None):
        if obj is np._core.multiarray.scalar:
            self.write(b"cnumpy.core.multiarray\nscalar\n")
            self.memoize(obj)
        else:
            super().save_global(obj, name)


def write_tokenizer(folder, vocabulary=400):
    """A byte-level BPE of the captions, with RoBERTa's special tokens in their places."""
    from tokenizers import ByteLevelBPETokenizer

    tokenizer = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer.train_from_iterator(CAPTIONS, vocabulary, special_tokens=special, show_progress=False)
    tokenizer.save_model(str(folder))


def original_htsat(size=TOY):
    """HTSAT of the package laion-clap, whose own import is passed by: it would fetch tokenizers. Weights are drawn."""
    folder = importlib.util.find_spec("laion_clap").submodule_search_locations[0]
    if folder not in sys.path:
        sys.path.append(folder)  # as the package does
    from clap_module.htsat import HTSAT_Swin_Transformer

    config = SimpleNamespace(mel_bins=64, window_size=1024, hop_size=480, sample_rate=48000, fmin=50, fmax=14000)
    sizes = {"embed_dim": size.htsat, "depths": size.htsat_layers, "num_heads": size.htsat_heads}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, of how it calls it
        htsat = HTSAT_Swin_Transformer(window_size=8, config=config, **sizes)
    return _drawn(htsat, keep=("spectrogram_extractor", "logmel_extractor"))


def original_roberta(size=TOY):
    """RoBERTa as transformers builds it. Weights are drawn."""
    from transformers import RobertaConfig, RobertaModel

    config = RobertaConfig(
        vocab_size=size.roberta_vocabulary,
        hidden_size=size.roberta,
        num_hidden_layers=size.roberta_layers,
        num_attention_heads=size.roberta // 64,
        intermediate_size=size.roberta_hidden,
        max_position_embeddings=size.roberta_positions,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
    )
    return _drawn(RobertaModel(config))


@torch.no_grad()
def _drawn(module, keep=()):
    """A module whose weights keep the size of what goes through it, ready to run."""
    for name, tensor in module.state_dict().items():
        if not tensor.is_floating_point() or name.startswith(tuple(keep)) or "attn_mask" in name:
            continue
        if tensor.ndim > 1:
            tensor.normal_(std=tensor[0].numel() ** -0.5)
        elif name.endswith("bias") or name.endswith("running_mean"):
            tensor.normal_(std=0.1)
        else:
            tensor.uniform_(0.5, 1.5)
    return module.eval()


def _layer(name, outputs, *inputs):
    weight = torch.randn(outputs, *inputs) / np.prod(inputs) ** 0.5
    return {f"{name}.weight": weight, f"{name}.bias": 0.1 * torch.randn(outputs)}


def _norm(name, width):
    return {f"{name}.weight": 0.5 + torch.rand(width), f"{name}.bias": 0.1 * torch.randn(width)}


def _folder(weights, model):
    folder = Path(weights, model)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
