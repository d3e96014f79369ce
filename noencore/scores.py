"""The scores of single tokens, as scores/<model>.safetensors keeps them.

A light module: the metrics read what a model left behind, and need no model for it.
"""

import json
from dataclasses import dataclass

import numpy as np

from noencore.errors import UserError
from noencore.files import write_tensors


@dataclass(frozen=True)
class TokenScores:
    """Every token of N clips under the clip's own caption.

    nll: float32 [N, K, T], nats, 0 where there is no prediction. rank: int32 [N, K, T], how many tokens the model holds
    likelier than the true one, 0 = argmax, -1 where there is no prediction (frame t of codebook q with t + q >= T).
    weights_sha256: the scored model's, where known.
    """

    ids: list
    nll: np.ndarray
    rank: np.ndarray
    weights_sha256: str = ""

    def __post_init__(self):
        if not (self.nll.ndim == 3 and self.nll.shape == self.rank.shape and len(self.ids) == len(self.nll)):
            raise ValueError(f"nll {self.nll.shape} and rank {self.rank.shape} of {len(self.ids)} clips do not match")

    def take(self, ids):
        """Those of some clips, in the order of `ids`. UserError where a clip is missing."""
        place = {clip: index for index, clip in enumerate(self.ids)}
        if missing := [clip for clip in ids if clip not in place]:
            raise UserError(
                f"scores: no token scores of clip {missing[0]} and {len(missing) - 1} others; score the model again"
            )
        index = np.array([place[clip] for clip in ids], dtype=int)
        return TokenScores(list(ids), self.nll[index], self.rank[index], self.weights_sha256)

    def where_finite(self, values):
        """values [N] as float64, NaN for clips with a token whose nll is not finite: nothing is known of those."""
        return np.where(np.isfinite(self.nll).all(axis=(1, 2)), values, np.nan)


def save_token_scores(scores, path):
    """Write TokenScores; 8 bytes a token."""
    import torch

    tensors = {"nll": torch.from_numpy(scores.nll), "rank": torch.from_numpy(scores.rank)}
    write_tensors(tensors, path, {"clip_ids": json.dumps(scores.ids), "weights_sha256": scores.weights_sha256})


def token_scores(stored):
    """TokenScores from what `files.read_tensors` gives of their file. UserError where it is of another kind."""
    tensors, metadata = stored
    if set(tensors) != {"nll", "rank"} or not {"clip_ids", "weights_sha256"} <= set(metadata):
        raise UserError("scores/*.safetensors: not token scores; delete the folder and run again")
    nll, rank = tensors["nll"].numpy(), tensors["rank"].numpy()
    return TokenScores(json.loads(metadata["clip_ids"]), nll, rank, metadata["weights_sha256"])
