"""A split and the scores of a model with known losses."""

import json

import numpy as np
import pandas as pd
import pytest
import torch


@pytest.fixture
def split():
    """12 clips a set: the first 2 are dev, the others test."""
    rows = [
        {
            "clip_id": f"{name}-{i:03}",
            "work_id": f"{name}-{i}",
            "set": name,
            "part": "dev" if i < 2 else "test",
        }
        for name in ("forget", "remain", "holdout", "utility")
        for i in range(12)
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def scores(split):
    """Loss of codebook q with caption: 2 + 0.1 q + noise of the clip; null lies 0.3 above, wrong 0.4 and 0.6."""
    rng = np.random.default_rng(0)
    rows = []
    for clip_id, noise in zip(split["clip_id"], rng.normal(0, 0.1, len(split)), strict=True):
        for condition, more in (("caption", 0.0), ("null", 0.3), ("wrong_0", 0.4), ("wrong_1", 0.6)):
            for codebook in range(4):
                rows.append((clip_id, condition, codebook, 2 + 0.1 * codebook + noise + more, 200 - codebook))
    frame = pd.DataFrame(rows, columns=["clip_id", "condition", "codebook", "nll", "n_tokens"])
    frame.attrs["weights_sha256"] = "abc"
    return frame


@pytest.fixture
def tokens(scores):
    """Token scores of 20 frames for them, as read from their file: every token of a codebook has its mean, and the
    ranks of codebook q are q, but 0 at even frames."""
    own = scores[scores["condition"] == "caption"].pivot(index="clip_id", columns="codebook", values="nll")
    q, t = np.arange(4)[:, None], np.arange(20)
    valid = np.broadcast_to(t + q < 20, (len(own), 4, 20))
    nll = np.where(valid, own.to_numpy()[..., None], 0).astype(np.float32)
    rank = np.where(valid, np.where(t % 2, q, 0), -1).astype(np.int32)
    metadata = {"clip_ids": json.dumps(list(own.index)), "weights_sha256": "abc"}
    return {"nll": torch.from_numpy(nll), "rank": torch.from_numpy(rank)}, metadata


@pytest.fixture
def pick():
    """A function (frame, set, metric) -> the one row."""

    def pick_one(frame, set_name, metric):
        rows = frame[(frame["set"] == set_name) & (frame["metric"] == metric)]
        assert len(rows) == 1
        return rows.iloc[0]

    return pick_one
