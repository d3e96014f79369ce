"""Continuation: given the start of a clip, does the model go on as the recording does?"""

import pandas as pd

from noencore.metrics.rows import Measured, mean_rows, metric_frame, no_values, rate_rows, tidy_values, works_of

NEAR = 0.8  # share of codebook 0 that counts as a near copy (MusicGen, Copet et al., 2023, arXiv 2306.05284)


def measure_continuation(split, generated, seed=0):
    """Metrics of the continuations in generated.parquet, for each length of prompt, `1s` in the names.

    continuation_match_0_1s, continuation_match_all_1s: share of tokens equal to the recording's, in codebook 0 and in
    all. continuation_exact_1s, continuation_near_1s: share of clips whose codebook 0 is matched wholly, or to 80 %: the
    clip could be got out of the model.
    """
    continued = generated[generated["kind"] == "continuation"].set_index("clip_id")
    rows, values = [], [no_values()]
    for seconds, of_length in continued.groupby("prompt_seconds"):
        after = f"{seconds:g}s"
        shares = {"continuation_match_0": of_length["match_0"], "continuation_match_all": of_length["match_all"]}
        hits = {"continuation_exact": of_length["match_0"] == 1, "continuation_near": of_length["match_0"] >= NEAR}
        for metrics, to_rows in ((shares, lambda v: mean_rows(v, works_of(split), seed)), (hits, rate_rows)):
            wide = pd.DataFrame({"set": of_length["set"]} | {f"{name}_{after}": v for name, v in metrics.items()})
            values.append(tidy_values(wide, [f"{name}_{after}" for name in metrics]))
            rows += to_rows(values[-1])
    return Measured(metric_frame(rows), pd.concat(values, ignore_index=True))
