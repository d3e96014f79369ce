"""Collapse: a model that plays silence, noise at full scale or one note for ever has forgotten too much."""

import pandas as pd

from noencore.metrics.rows import Measured, mean_rows, metric_frame, rate_rows, tidy_values, works_of

CLIPPED = 0.001  # share of samples at full scale, past which a clip is clipped
REPEATED, ENTROPY = 0.5, 0.5  # share of frames, and nats: past either, a clip has collapsed


def measure_collapse(split, generated, seed=0):
    """Metrics of the prompts in generated.parquet, by what is heard and by the tokens.

    token_entropy: entropy of a clip's codebook 0, nats; repeated_frames: share of frames equal to the one before.
    silence_rate, clipping_rate, collapse_rate (over half of the frames repeated, or an entropy under 0.5 nats): share
    of prompts that do so under any eval seed.
    """
    prompts = generated[generated["kind"] == "prompt"].set_index("clip_id").astype({"eval_seed": int})
    known = {"set": prompts["set"], "eval_seed": prompts["eval_seed"]}
    shares = {"token_entropy": prompts["token_entropy"], "repeated_frames": prompts["repeated"]}
    hits = {
        "silence_rate": prompts["silent"],
        "clipping_rate": prompts["clipped"] > CLIPPED,
        "collapse_rate": (prompts["repeated"] > REPEATED) | (prompts["token_entropy"] < ENTROPY),
    }
    means, rates = (tidy_values(pd.DataFrame(known | metrics), list(metrics)) for metrics in (shares, hits))
    rows = [*mean_rows(means, works_of(split), seed), *rate_rows(rates)]
    return Measured(metric_frame(rows), pd.concat([means, rates], ignore_index=True))
