"""The metrics by which models are compared, by name: those with values of single clips, and distances of sets."""

import re
from difflib import get_close_matches

from noencore.embeddings import CLASSIFIERS, MODELS, TEXT_AUDIO_MODELS
from noencore.errors import UserError

NUMBERS = {"<s>": r"\d+(\.\d+)?", "<codebook>": r"\d+"}  # what a name may have in its place
COMPARED = (
    *("nll_caption", "nll_null", "nll_wrong", "nll_q<codebook>", "min_k_10", "min_k_20", "min_k_40"),
    *("token_match_0", "token_match_all", "token_match_0_top10", "token_match_all_top10"),
    *("caption_gain", "wrong_caption_gain", "caption_truth_ratio", "caption_truth_ratio_bounded"),
    *("caption_rank", "caption_rank_normalised", "caption_preferred", "caption_top1"),
    *(f"extraction_strength_{kind}" for kind in ("r1_100", "r1_80", "r5_100", "r5_80")),
    *(f"continuation_{kind}_<s>s" for kind in ("match_0", "match_all", "exact", "near")),
    *("token_entropy", "repeated_frames", "silence_rate", "clipping_rate", "collapse_rate"),
    *(f"{distance}_{embedding}" for embedding in MODELS for distance in ("fad", "kad")),
    *(
        f"kl_{preset}_{embedding}"
        for embedding in CLASSIFIERS
        for preset in ("audiocraft", "symmetric", "stable_audio", "audioldm_softmax", "audioldm_sigmoid")
    ),
    *(f"text_audio{part}_{model}" for model in TEXT_AUDIO_MODELS for part in ("", "_mismatched", "_auc", "_rank")),
    *("copy_window_similarity", "copy_landmark_score", "copy_window_rate", "copy_landmark_rate", "copy_rate"),
)


def name_of(metric):
    """The name in COMPARED of a metric, `nll_q<codebook>` of nll_q3; None where models are not compared by it."""
    return next((name for name, pattern in PATTERNS.items() if pattern.fullmatch(metric)), None)


def check_margins(margins):
    """Raise UserError where a margin names a metric that no config compares models by: it would do nothing."""
    for metric in margins:
        if name_of(str(metric)) is None:
            near = get_close_matches(str(metric), COMPARED, 1)
            cure = f"did you mean '{near[0]}'?" if near else "the names are in docs/metrics.md"
            raise UserError(f"config: comparison.margins: models are compared by no metric '{metric}'; {cure}")


def _pattern(name):
    for place, numbers in NUMBERS.items():
        name = name.replace(place, numbers)
    return re.compile(name)


PATTERNS = {name: _pattern(name) for name in COMPARED}
