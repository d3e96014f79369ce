"""A split and the scores of a model with known losses."""

import numpy as np
import pandas as pd
import pytest


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
    """Loss of codebook q with caption: 2 + 0.1 q + noise of the clip; null lies 0.3 above, wrong 0.5."""
    rng = np.random.default_rng(0)
    rows = []
    for clip_id, noise in zip(split["clip_id"], rng.normal(0, 0.1, len(split)), strict=True):
        for condition, more in (("caption", 0.0), ("null", 0.3), ("wrong", 0.5)):
            for codebook in range(4):
                rows.append((clip_id, condition, codebook, 2 + 0.1 * codebook + noise + more, 200 - codebook))
    return pd.DataFrame(rows, columns=["clip_id", "condition", "codebook", "nll", "n_tokens"])


@pytest.fixture
def pick():
    """A function (frame, set, metric) -> the one row."""

    def pick_one(frame, set_name, metric):
        rows = frame[(frame["set"] == set_name) & (frame["metric"] == metric)]
        assert len(rows) == 1
        return rows.iloc[0]

    return pick_one
