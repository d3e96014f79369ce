"""audiocraft's side of the comparisons: its LM, EnCodec and T5 conditioner at the released shapes, random weights.

Speed does not depend on what the weights are, so nothing is downloaded: audiocraft's LM is built in the released
configuration and lends its weights to ours, EnCodec has the shape of facebook/encodec_32khz, T5 that of t5-base.
"""

import logging
import os
import warnings
from dataclasses import dataclass

import torch

from noencore.musicgen.model import ModelConfig, MusicGenLM

os.environ.setdefault("HF_HUB_OFFLINE", "1")
logging.getLogger("xformers").setLevel(logging.ERROR)  # its CUDA extensions do not load, and none is used


@dataclass(frozen=True)
class Size:
    """A model, and the clips of its benchmarks. words: length of each caption in text states."""

    model: ModelConfig
    batch: int
    frames: int
    words: int


# The model of the default run, and musicgen-small. A caption of MusicGen's own examples has about 20 T5 tokens.
SIZES = {
    "default": Size(ModelConfig(dim=160, layers=3, heads=5, card=256, n_q=4, text_dim=384), 16, 250, 20),
    "small": Size(ModelConfig(dim=1024, layers=24, heads=16, card=2048, n_q=4, text_dim=768), 4, 250, 20),
}


def audiocraft_lm(config, conditioner):
    """audiocraft's LMModel in the released configuration, around a text conditioner."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from audiocraft.models.lm import LMModel
        from audiocraft.modules.codebooks_patterns import DelayedPatternProvider
        from audiocraft.modules.conditioners import ConditionFuser, ConditioningProvider

    return LMModel(
        DelayedPatternProvider(config.n_q),
        ConditioningProvider({"description": conditioner}),
        ConditionFuser({"cross": ["description"], "prepend": [], "sum": [], "input_interpolate": []}),
        n_q=config.n_q,
        card=config.card,
        dim=config.dim,
        num_heads=config.heads,
        num_layers=config.layers,
        hidden_scale=config.hidden_scale,
        norm_first=True,
        bias_proj=False,
        bias_ff=False,
        bias_attn=False,
        dropout=0.0,
        activation="gelu",
        causal=True,
        custom=False,
        memory_efficient=True,
        cross_attention=True,
        weight_init="gaussian",
        depthwise_init="current",
        zero_bias_init=True,
        cfg_coef=3.0,
    ).eval()


def stored_states(states, dim):
    """A text conditioner that looks captions "0", "1", ... up in states [N, L, text_dim]: what is left without T5."""
    from audiocraft.modules.conditioners import TextConditioner

    class StoredStates(TextConditioner):
        def tokenize(self, captions):
            rows = torch.stack([torch.zeros_like(states[0]) if c is None else states[int(c)] for c in captions])
            return rows, torch.tensor([[c is not None] * states.shape[1] for c in captions]).int()

        def forward(self, inputs):
            rows, mask = inputs
            return self.output_proj(rows) * mask.unsqueeze(-1), mask

    return StoredStates(states.shape[2], dim)


def conditions(captions):
    from audiocraft.modules.conditioners import ConditioningAttributes

    return [ConditioningAttributes(text={"description": caption}) for caption in captions]


def pair(config, states):
    """(audiocraft's LM, ours) with the same weights; audiocraft's captions are "0", "1", ... of states."""
    torch.manual_seed(0)
    theirs = audiocraft_lm(config, stored_states(states, config.dim))
    ours = MusicGenLM(config)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours.eval()


def text_states(count, words, text_dim, seed=0):
    """Random states [count, words, text_dim] of unit variance, and their mask."""
    states = torch.randn(count, words, text_dim, generator=torch.Generator().manual_seed(seed))
    return states, torch.ones(count, words, dtype=torch.bool)
