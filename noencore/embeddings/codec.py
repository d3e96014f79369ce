"""The encoder of our own small codec: what it knows of a second of sound before the quantizer.

The encoder runs over the whole clip and its latents are averaged over windows of one second, as kadtk does with EnCodec
(https://github.com/YoonjinXD/kadtk), so a window sees a little of the sound beside it.
"""

import json

import numpy as np
import torch

from noencore.embeddings import Embedded, EmbeddingModel
from noencore.errors import UserError
from noencore.files import read_tensors, sha256
from noencore.seanet import Seanet

WINDOW_S = 1.0


def load(weights):
    """Load from the codec's file. Raises UserError where it is missing, damaged or something else."""
    tensors, metadata = read_tensors(weights)
    try:
        config = json.loads(metadata["config"])
        rate, hop = config["sample_rate"], int(np.prod(config["ratios"]))
        embed = pooled(Seanet(tensors).latents, rate, hop)
        embed(np.zeros(rate, np.float32))
    except (KeyError, TypeError, RuntimeError):
        raise UserError(f"{weights}: not a codec of ours; make one with `--configfile presets/codec.yaml`") from None
    return EmbeddingModel("codec", rate, WINDOW_S, WINDOW_S, config["dimension"], sha256(weights), embed)


def pooled(encode, sample_rate, hop):
    """`embed` of a model whose windows are means of an encoder's frames.

    encode: float32 [1, 1, n_samples], a multiple of `hop` -> [1, dimension, n_samples / hop]. Windows of one second
    follow each other, the last one is right-aligned; a clip below a second is padded with zeros. Of the samples after
    the last whole frame nothing is heard.
    """
    frames = round(WINDOW_S * sample_rate / hop)
    window = frames * hop

    @torch.inference_mode()
    def embed(wave):
        padding = max(0, window - len(wave))
        sound = np.pad(np.asarray(wave, np.float32), (0, padding))
        sound = torch.from_numpy(sound[: len(sound) // hop * hop])
        latents = encode(sound[None, None])[0].numpy()
        last = latents.shape[1] - frames
        starts = [*range(0, last, frames), last]
        means = np.stack([latents[:, start : start + frames].mean(axis=1) for start in starts])
        return Embedded(means, np.full(len(starts), padding / window, np.float32))

    return embed
