"""audiocraft's side of the comparisons: its LM, EnCodec and T5 conditioner at the released shapes, random weights.

Speed does not depend on what the weights are, so nothing is downloaded: audiocraft's LM is built in the released
configuration and lends its weights to ours, EnCodec has the shape of facebook/encodec_32khz, T5 that of t5-base.
"""

import json
import logging
import os
import warnings
import zlib
from dataclasses import dataclass
from unittest.mock import patch

import torch

from noencore.codec import CodecConfig, build
from noencore.files import read_tensors
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
    """(audiocraft's LM, ours) with the same weights, in memory once; its captions are "0", "1", ... of states."""
    torch.manual_seed(0)
    theirs = audiocraft_lm(config, stored_states(states, config.dim))
    with torch.device("meta"):
        ours = MusicGenLM(config)
    ours.load_state_dict(theirs.state_dict(), assign=True)
    return theirs, ours.eval()


def text_states(count, words, text_dim, seed=0):
    """Random states [count, words, text_dim] of unit variance, and their mask."""
    states = torch.randn(count, words, text_dim, generator=torch.Generator().manual_seed(seed))
    return states, torch.ones(count, words, dtype=torch.bool)


class T5Words:
    """Stands for T5's tokenizer: every caption is `words` tokens drawn from its text."""

    def __init__(self, words):
        self.words = words

    def __call__(self, captions, return_tensors, padding):
        from transformers import BatchEncoding

        draws = [torch.Generator().manual_seed(zlib.crc32(caption.encode())) for caption in captions]
        ids = torch.stack([torch.randint(3, 32000, (self.words,), generator=draw) for draw in draws])
        return BatchEncoding({"input_ids": ids, "attention_mask": torch.ones_like(ids)})


def t5_conditioner(words, dim):
    """audiocraft's T5Conditioner around a t5-base with random weights: 12 layers of 768, 110 M parameters."""
    from audiocraft.modules import conditioners
    from transformers import T5Config, T5EncoderModel

    t5 = T5EncoderModel(T5Config(d_model=768, d_kv=64, d_ff=3072, num_layers=12, num_heads=12)).eval()
    with (
        patch.object(conditioners.T5Tokenizer, "from_pretrained", lambda name: T5Words(words)),
        patch.object(conditioners.T5EncoderModel, "from_pretrained", lambda name: t5),
    ):
        return conditioners.T5Conditioner("t5-base", dim, finetune=False, device="cpu")


def encoder_conditioner(dim):
    """The default run's text encoder, run on every batch as audiocraft runs T5."""
    from audiocraft.modules.conditioners import TextConditioner

    from noencore.text import DIMENSION, TextEncoder

    encoder = TextEncoder()

    class Encoded(TextConditioner):
        def tokenize(self, captions):
            return encoder.tokenizer([caption or "" for caption in captions], return_tensors="pt", padding=True)

        def forward(self, inputs):
            with torch.no_grad():
                states = encoder.model(**inputs).last_hidden_state
            mask = inputs["attention_mask"]
            return self.output_proj(states) * mask.unsqueeze(-1), mask

    return Encoded(DIMENSION, dim)


def own_codec(path):
    """audiocraft's EncodecModel with the weights of a codec file of ours."""
    tensors, metadata = read_tensors(path)
    config = json.loads(metadata["config"])
    model = build(CodecConfig(**{**config, "ratios": tuple(config["ratios"])}))
    model.load_state_dict(
        {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    )
    return model.eval()


def encodec():
    """audiocraft's EncodecModel in the shape of facebook/encodec_32khz: 4 codebooks of 2048, 50 frames a second."""
    from audiocraft.models.encodec import EncodecModel
    from audiocraft.modules.seanet import SEANetDecoder, SEANetEncoder
    from audiocraft.quantization import ResidualVectorQuantizer

    shape = {"channels": 1, "dimension": 128, "n_filters": 64, "n_residual_layers": 1, "ratios": [8, 5, 4, 4]}
    shape |= {"norm": "weight_norm", "lstm": 2, "pad_mode": "constant"}
    quantizer = ResidualVectorQuantizer(dimension=128, n_q=4, bins=2048, kmeans_init=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        encoder, decoder = SEANetEncoder(**shape), SEANetDecoder(**shape)
    return EncodecModel(encoder, decoder, quantizer, frame_rate=50, sample_rate=32000, channels=1).eval()
