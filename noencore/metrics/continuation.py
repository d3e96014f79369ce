"""Continuation: given the start of a clip, does the model go on as the recording does?"""

from noencore.metrics.rows import mean_row, metric_frame, rate_row
from noencore.split import SETS

NEAR = 0.8  # share of codebook 0 that counts as a near copy (MusicGen, Copet et al., 2023, arXiv 2306.05284)


def continuation_rows(generated, seed=0):
    """Rows for each set with continuations in generated.parquet.

    continuation_match_0, continuation_match_all: share of tokens equal to the recording's, in codebook 0 and
    in all; a clip counts with its mean over eval seeds. exact_rate, near_rate: share of clips whose codebook
    0 is matched wholly, or to 80 %, under any eval seed: the clip could be got out of the model.
    """
    continued = generated[generated["kind"] == "continuation"]
    rows = []
    for name in [name for name in SETS if name in set(continued["set"])]:
        by_clip = continued[continued["set"] == name].groupby("clip_id")
        most = by_clip["match_0"].max()
        rows += [
            mean_row(name, "continuation_match_0", by_clip["match_0"].mean(), seed),
            mean_row(name, "continuation_match_all", by_clip["match_all"].mean(), seed),
            rate_row(name, "exact_rate", most == 1),
            rate_row(name, "near_rate", most >= NEAR),
        ]
    return metric_frame(rows)
