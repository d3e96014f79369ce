"""Kullback-Leibler divergence of what a classifier hears in two recordings, as the three tools in use define it.

They differ in direction and pooling, and their numbers cannot be compared. All add 1e-6 inside the logarithm of the
second distribution, so that the divergence of equal ones is slightly below zero; nothing is clipped.
"""

from dataclasses import dataclass

import numpy as np

EPSILON = 1e-6


@dataclass(frozen=True)
class Preset:
    """One definition: of_target, whether it is KL(target || generated) or the other way; pooled, whether logits are
    averaged over the windows first or the divergences of windows after; apart, whether windows may not overlap;
    sigmoid, for classes that are not exclusive."""

    of_target: bool
    pooled: bool
    apart: bool = False
    sigmoid: bool = False


PRESETS = {
    "audiocraft": Preset(of_target=True, pooled=False, apart=True),  # audiocraft.metrics.kld, MusicGen's own
    "stable_audio": Preset(of_target=False, pooled=True),  # stable-audio-metrics, passt_kld with collect="mean"
    "audioldm_softmax": Preset(of_target=True, pooled=True),  # audioldm_eval.metrics.kl
    "audioldm_sigmoid": Preset(of_target=True, pooled=True, sigmoid=True),
}
SYMMETRIC = "symmetric"  # audiocraft's kld_both
NAMES = (*PRESETS, SYMMETRIC)


def kl_divergence(p, q):
    """sum p log(p / (q + 1e-6)) over the last axis of probabilities [..., c], in nats, with 0 log 0 = 0."""
    from scipy.special import xlogy

    p, q = np.asarray(p, np.float64), np.asarray(q, np.float64)
    return (xlogy(p, p) - p * np.log(q + EPSILON)).sum(axis=-1)


def posterior_divergence(generated, target, preset="audiocraft", stride=1):
    """Divergence of the class posteriors of one generated clip and its target, from logits [w1, c] and [w2, c].

    preset: a key of `PRESETS`, or "symmetric": both directions of audiocraft's summed. Windows are those that the
    classifier was run on, paired in order; what only one of the clips has is not paired. stride: every which window
    begins where another ends, of which audiocraft's take no others. With the sigmoid the terms of
    all classes are summed as audioldm_eval does, which is no divergence and can be far below zero. Raises ValueError
    for no windows, other shapes or an unknown preset.
    """
    generated, target = np.asarray(generated, np.float64), np.asarray(target, np.float64)
    if generated.ndim != 2 or target.ndim != 2 or generated.shape[1] != target.shape[1] or not generated.size:
        raise ValueError(f"logits must be [windows, c] with the same c, not {generated.shape} and {target.shape}")
    if not target.size:
        raise ValueError("the target has no windows")
    if preset == SYMMETRIC:
        there, back = (posterior_divergence(*p, stride=stride) for p in ((generated, target), (target, generated)))
        return there + back
    if preset not in PRESETS:
        raise ValueError(f"preset {preset!r}: unknown; choose one of {', '.join(NAMES)}")
    chosen = PRESETS[preset]
    if chosen.apart:
        generated, target = generated[::stride], target[::stride]
    pairs = min(len(generated), len(target))
    made, wanted = (
        _posterior(x.mean(axis=0) if chosen.pooled else x[:pairs], chosen.sigmoid) for x in (generated, target)
    )
    return float(np.mean(kl_divergence(wanted, made) if chosen.of_target else kl_divergence(made, wanted)))


def clip_divergences(generated, target, preset="audiocraft", stride=1):
    """dict (clip, eval seed) -> divergence of what was played from its target, from `Windows` of logits.

    preset, stride: as in `posterior_divergence`. The target is the clip's original (eval seed -1) or, with the target
    model's file, the same prompt played under the same eval seed. Clips without a target are left out.
    """
    targets = target.played()
    return {
        (clip, seed): posterior_divergence(rows, targets[key], preset, stride)
        for (clip, seed), rows in generated.played().items()
        for key in [(clip, seed) if (clip, seed) in targets else (clip, -1)]
        if key in targets
    }


def _posterior(logits, sigmoid):
    from scipy.special import expit, softmax

    return expit(logits) if sigmoid else softmax(logits, axis=-1)
