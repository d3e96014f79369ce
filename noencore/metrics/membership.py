"""Membership: can an observer of the loss tell the clips to forget from clips that were never learned?"""

import numpy as np

from noencore.metrics.intervals import delong
from noencore.metrics.likelihood import clip_losses
from noencore.metrics.rows import MINIMUM, NO_INTERVAL, metric_frame, metric_row


def membership_rows(scores, split, part="test"):
    """One row, set "forget_vs_holdout", metric "membership_auc": AUC of -NLL with caption, DeLong interval.

    1 = every clip of forget is likelier than every clip of holdout, 0.5 = no difference. Success is the gold
    model's value, not 0: a model that likes the clips to forget less than unseen ones gives them away as
    well. `n` counts both sides; the smaller side must reach the minimum.
    """
    losses = clip_losses(scores, split, part)
    forget, holdout = (-losses.loc[losses["set"] == name, "caption"].to_numpy(float) for name in ("forget", "holdout"))
    smaller, n = min(len(forget), len(holdout)), len(forget) + len(holdout)

    def auc_and_interval():
        finite = np.isfinite(forget).all() and np.isfinite(holdout).all()
        return delong(forget, holdout) if finite else (np.nan, NO_INTERVAL)

    row = metric_row("forget_vs_holdout", "membership_auc", smaller, MINIMUM, auc_and_interval)
    return metric_frame([row | {"n": n}])
