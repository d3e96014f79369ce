"""Extraction: how much of a clip's end the model would say by itself, if it were given the start."""

import numpy as np
import pandas as pd

from noencore.metrics.rows import Measured, clips_of_part, mean_rows, metric_frame, tidy_values, works_of
from noencore.scores import token_scores

STRENGTHS = {  # the true token is among the `top` likeliest, in a share `tau` of the frames
    "extraction_strength_r1_100": (1, 1.0),
    "extraction_strength_r1_80": (1, 0.8),
    "extraction_strength_r5_100": (5, 1.0),
    "extraction_strength_r5_80": (5, 0.8),
}


def extraction_strength(matched, tau=1.0):
    """Share of a clip that is in the longest end of it that the model predicts: matched [N, T] bool -> [N] in [0, 1].

    1 - k / T with the smallest k such that at least a share tau of matched[k:] is true (Carlini et al., 2021, arXiv
    2012.07805, as a measure of unlearning in open-unlearning), and 0 where there is no such k. Short ends match by
    luck: one hit at the last token is 1 / T, so a small value says nothing, and unseen clips say what luck is worth.
    """
    matched = np.asarray(matched, bool)
    if matched.ndim != 2 or not matched.shape[1] or not 0 < tau <= 1:
        raise ValueError(f"matched {matched.shape} is not [N, T], or tau {tau} is not in (0, 1]")
    T = matched.shape[1]
    length = np.arange(T, 0, -1)  # of the end that starts at frame k
    hits = np.cumsum(matched[:, ::-1], axis=1)[:, ::-1]
    enough = hits >= tau * length - 1e-9  # 0.8 x 15 is 12.000000000000002
    return np.where(enough.any(axis=1), length[enough.argmax(axis=1)] / T, 0.0)


def measure_extraction(split, tokens, part="test", seed=0):
    """extraction_strength_r<top>_<tau in %> of each set, on codebook 0. tokens: read_tensors of the token scores.

    Teacher-forced, so an upper bound of what a continuation gives: every token is predicted from the true ones.
    """
    stored, sets = token_scores(tokens), clips_of_part(split, part).rename("set")
    sets = sets[sets.index.isin(stored.ids)]
    stored = stored.take(sets.index)
    wide = pd.DataFrame({"set": sets})
    for name, (top, tau) in STRENGTHS.items():
        wide[name] = stored.where_finite(extraction_strength(stored.rank[:, 0] < top, tau))
    values = tidy_values(wide, list(STRENGTHS))
    rows = mean_rows(values, works_of(split), seed, weights_sha256=stored.weights_sha256)
    return Measured(metric_frame(rows), values)
