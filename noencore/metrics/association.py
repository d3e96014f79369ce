"""Association: what a caption is worth to the model when it predicts the music, in nats a token."""

import numpy as np

from noencore.metrics.likelihood import clip_losses
from noencore.metrics.rows import mean_row, metric_frame, rate_row
from noencore.split import SETS


def association_rows(scores, split, part="test", seed=0):
    """Rows for each set in the split, paired by clip.

    caption_gain: NLL without a caption minus NLL with the clip's own. wrong_caption_gain: NLL with other
    captions (mean over them) minus NLL with its own. caption_preferred: share of clips whose own caption
    beats the wrong ones.
    """
    losses = clip_losses(scores, split, part)
    rows = []
    for name in SETS:
        if name not in set(split["set"]):
            continue
        of_set = losses[losses["set"] == name]
        known = np.isfinite(of_set[["caption", "wrong"]]).all(axis=1)
        rows += [
            mean_row(name, "caption_gain", of_set["null"] - of_set["caption"], seed),
            mean_row(name, "wrong_caption_gain", of_set["wrong"] - of_set["caption"], seed),
            rate_row(name, "caption_preferred", (of_set["caption"] < of_set["wrong"]).where(known)),
        ]
    return metric_frame(rows)
