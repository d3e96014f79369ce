"""Likelihood: how well a model predicts the clips of each set, in nats a token."""

from noencore.errors import UserError
from noencore.metrics.rows import clips_of_part, mean_row, metric_frame
from noencore.split import SETS

CONDITIONS = ("caption", "null", "wrong")


def clip_losses(scores, split, part="test"):
    """Per-clip losses of one model: a frame with index clip_id, column `set` and, in nats a token, one column
    each for `caption`, `null` and `wrong` (mean over codebooks) and `q0`, `q1`, ... (one codebook, with
    caption).

    scores: the frame of scores.parquet. Clips of other parts and clips without a score are left out.
    Raises UserError where a condition is missing, or a clip, condition and codebook occur twice.
    """
    if scores.duplicated(["clip_id", "condition", "codebook"]).any():
        raise UserError("scores.parquet: a clip, condition and codebook occur twice; score the model again")
    if missing := set(CONDITIONS) - set(scores["condition"]):
        raise UserError(f"scores.parquet: no scores for condition {sorted(missing)}; score the model again")
    nll = scores.pivot(index="clip_id", columns=["condition", "codebook"], values="nll")
    losses = clips_of_part(split, part).rename("set").to_frame()
    for condition in CONDITIONS:
        losses[condition] = nll[condition].mean(axis=1, skipna=False)
    for codebook in sorted(nll["caption"]):
        losses[f"q{codebook}"] = nll["caption"][codebook]
    return losses[losses.index.isin(nll.index)]


def likelihood_rows(scores, split, part="test", seed=0):
    """Rows of the mean NLL of each set in the split: nll_caption, nll_null, nll_wrong, nll_q0, nll_q1, ..."""
    losses = clip_losses(scores, split, part)
    return metric_frame(
        mean_row(name, f"nll_{column}", losses.loc[losses["set"] == name, column], seed)
        for name in SETS
        if name in set(split["set"])
        for column in losses.columns.drop("set")
    )
