"""Windows of sound as the metrics of sets see them: one row a window, labelled with its clip, work and eval seed."""

import json
from dataclasses import dataclass

import numpy as np

MOST_PADDING = 0.5  # share of a window; one with more of it says little about its clip
NAMED = 3  # clips named in a status


@dataclass(frozen=True)
class Windows:
    """Embeddings [n, d] and, for each row, its clip, its work and the eval seed that it was played under."""

    embeddings: np.ndarray
    clip: np.ndarray
    work: np.ndarray
    eval_seed: np.ndarray

    @classmethod
    def of(cls, embeddings, clip=None, work=None, eval_seed=None):
        """By default every row is a clip, every clip a work, and all are of one eval seed."""
        clip = np.arange(len(embeddings)) if clip is None else np.asarray(clip)
        work = clip if work is None else np.asarray(work)
        eval_seed = np.zeros(len(embeddings), int) if eval_seed is None else np.asarray(eval_seed)
        return cls(np.asarray(embeddings, np.float64), clip, work, eval_seed)

    def __getitem__(self, kept):
        """The rows of a boolean mask [n]."""
        return Windows(*(column[kept] for column in vars(self).values()))

    @property
    def n(self):
        """Number of clips."""
        return len(np.unique(self.clip))

    @property
    def works(self):
        """Labels of the works, sorted."""
        return np.unique(self.work)

    def played(self):
        """dict (clip, eval seed) -> its rows [w, d]."""
        keys = list(zip(self.clip.tolist(), self.eval_seed.tolist()))
        rows = {}
        for row, key in enumerate(keys):
            rows.setdefault(key, []).append(row)
        return {key: self.embeddings[of_key] for key, of_key in rows.items()}


def stored_windows(stored, clip_ids, works, tensor="embeddings"):
    """`Windows` of some clips from a file of embeddings, (tensors, metadata), without those that are mostly padding.

    works: series clip_id -> work. tensor: which one the rows come from, `embeddings` or `logits`.
    """
    tensors, metadata = stored
    of_row = np.asarray(tensors["clip"])
    ids = np.array(json.loads(metadata["clip_ids"]), dtype=object)
    kept = np.isin(ids, list(map(str, clip_ids)))[of_row] & (np.asarray(tensors["padded"]) <= MOST_PADDING)
    clip = ids[of_row[kept]].astype(str)
    return Windows.of(
        np.asarray(tensors[tensor])[kept],
        clip,
        works.loc[clip].to_numpy().astype(str),
        np.array(json.loads(metadata["eval_seeds"]), dtype=int)[of_row[kept]],
    )


def left_out(stored, clip_ids):
    """dict clip_id -> why it has no window, for those of `clip_ids` that a file of embeddings holds."""
    tensors, metadata = stored
    full = np.asarray(tensors["clip"])[np.asarray(tensors["padded"]) <= MOST_PADDING]
    wanted, has_windows = set(map(str, clip_ids)), set(full.tolist())
    reasons = {}
    for number, (clip_id, status) in enumerate(zip(json.loads(metadata["clip_ids"]), json.loads(metadata["status"]))):
        if clip_id in wanted and number not in has_windows:
            reasons[clip_id] = "mostly padding" if status == "ok" else status
    return reasons


def left_out_status(generated, original):
    """Status of a row that is made without some clips, from `left_out` of both sides; "ok" where none is."""
    parts = []
    for side, reasons in (("generated", generated), ("original", original)):
        if reasons:
            named = [f"{clip_id} {reason}" for clip_id, reason in list(reasons.items())[:NAMED]]
            parts.append(f"{len(reasons)} {side} ({', '.join(named)}{', ...' if len(reasons) > NAMED else ''})")
    return f"left out: {'; '.join(parts)}" if parts else "ok"
