"""audiocraft and our engine side by side: a package in theirs, and the same captions for both."""

import torch


def get_pretrained(directory):
    """audiocraft's MusicGen of a package, on the CPU in fp32."""
    from audiocraft.models import MusicGen

    return MusicGen.get_pretrained(str(directory), device="cpu")


def conditions(captions):
    """Captions as audiocraft's language model takes them."""
    from audiocraft.modules.conditioners import ConditioningAttributes

    return [ConditioningAttributes(text={"description": caption}) for caption in captions]


def text_states(encoder, captions):
    """States [B, L, D] and mask [B, L] of captions, each encoded alone; the empty caption is the null condition."""
    states = [encoder.encode(caption) for caption in captions]
    lengths = torch.tensor([len(one) for one in states])
    return torch.nn.utils.rnn.pad_sequence(states, batch_first=True), torch.arange(max(lengths)) < lengths[:, None]
