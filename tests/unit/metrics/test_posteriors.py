"""Divergence of class posteriors: known values, and the three presets against the tools that they are named after."""

import numpy as np
import pytest

from noencore.metrics.posteriors import NAMES, clip_divergences, kl_divergence, posterior_divergence
from noencore.metrics.windows import Windows

P = np.array([0.05, 0.1, 0.2, 0.05, 0.15, 0.25, 0.08, 0.12])
Q = np.array([0.3, 0.1, 0.2, 0.1, 0.1, 0.02, 0.08, 0.1])


def test_known_values():
    """The example of stable-audio-metrics: 0.589885 without the 1e-6, 0.589866 with it."""
    from scipy.special import rel_entr

    assert rel_entr(P, Q).sum() == pytest.approx(0.589885, abs=1e-6)
    assert kl_divergence(P, Q) == pytest.approx(0.5898663401603699, abs=1e-6)  # theirs, in float32
    assert kl_divergence([0.0, 1.0], [0.5, 0.5]) == pytest.approx(np.log(2), abs=1e-5)


def test_direction_of_each_preset():
    generated, target = np.log(P)[None], np.log(Q)[None]
    for preset in ("audiocraft", "audioldm_softmax"):
        assert posterior_divergence(generated, target, preset) == pytest.approx(kl_divergence(Q, P), rel=1e-12)
    assert posterior_divergence(generated, target, "stable_audio") == pytest.approx(kl_divergence(P, Q), rel=1e-12)
    both = kl_divergence(P, Q) + kl_divergence(Q, P)
    assert posterior_divergence(generated, target, "symmetric") == pytest.approx(both, rel=1e-12)


def test_pooling_of_each_preset():
    rng = np.random.default_rng(0)
    generated, target = 2 * rng.standard_normal((2, 3, 8))
    windows = [posterior_divergence(g[None], t[None]) for g, t in zip(generated, target)]
    assert posterior_divergence(generated, target) == pytest.approx(np.mean(windows), rel=1e-12)
    assert posterior_divergence(generated, target[:2]) == pytest.approx(np.mean(windows[:2]), rel=1e-12)
    for preset in ("stable_audio", "audioldm_softmax", "audioldm_sigmoid"):
        pooled = posterior_divergence(generated.mean(axis=0)[None], target.mean(axis=0)[None], preset)
        assert posterior_divergence(generated, target, preset) == pytest.approx(pooled, rel=1e-12)


def test_windows_of_audiocraft_do_not_overlap():
    """Of windows of 10 s every 5 s its metric sees the first, the third and so on."""
    generated, target = 2 * np.random.default_rng(0).standard_normal((2, 5, 8))
    for preset in ("audiocraft", "symmetric"):
        apart = posterior_divergence(generated[[0, 2, 4]], target[[0, 2, 4]], preset)
        assert posterior_divergence(generated, target, preset, stride=2) == apart
    for preset in ("stable_audio", "audioldm_softmax", "audioldm_sigmoid"):
        every = posterior_divergence(generated, target, preset)
        assert posterior_divergence(generated, target, preset, stride=2) == every


def test_agrees_with_audiocraft():
    torch = pytest.importorskip("torch")
    kld = pytest.importorskip("audiocraft.metrics.kld")
    generated, target = 2 * np.random.default_rng(0).standard_normal((2, 3, 8))
    theirs = kld.kl_divergence(*(torch.tensor(x).softmax(-1) for x in (generated, target))).mean()
    assert posterior_divergence(generated, target) == pytest.approx(float(theirs), rel=1e-9)


def test_agrees_with_audioldm_eval():
    """By calculate_kl of audioldm_eval 0.0.3 as it is in its wheel, run once on these logits of five clips."""
    generated, target = 2 * np.random.default_rng(7).standard_normal((2, 5, 12))
    for preset, theirs in (("audioldm_softmax", 1.7129980080447034), ("audioldm_sigmoid", 3.588852080574191)):
        ours = [posterior_divergence(g[None], t[None], preset) for g, t in zip(generated, target)]
        assert np.mean(ours) == pytest.approx(theirs, rel=1e-9)


def test_equal_posteriors_are_just_below_zero_and_not_clipped():
    uniform = np.zeros((2, 527))
    assert posterior_divergence(uniform, uniform) == pytest.approx(-np.log(1 + 527e-6), rel=1e-9)


@pytest.mark.parametrize("preset", NAMES)
def test_windows_of_another_classifier_are_refused(preset):
    with pytest.raises(ValueError, match="same c"):
        posterior_divergence(np.zeros((2, 5)), np.zeros((2, 6)), preset)
    with pytest.raises(ValueError, match="no windows"):
        posterior_divergence(np.zeros((2, 5)), np.zeros((0, 5)), preset)
    with pytest.raises(ValueError, match="unknown"):
        posterior_divergence(np.zeros((2, 5)), np.zeros((2, 5)), "passt")


def test_clips_are_compared_with_their_original_or_with_the_same_eval_seed():
    rng = np.random.default_rng(0)
    played = Windows.of(rng.standard_normal((4, 6)), np.array(["a", "a", "b", "c"]), eval_seed=np.array([0, 1, 0, 0]))
    originals = Windows.of(rng.standard_normal((2, 6)), np.array(["a", "b"]), eval_seed=np.array([-1, -1]))
    found = clip_divergences(played, originals)
    assert list(found) == [("a", 0), ("a", 1), ("b", 0)]
    assert found["a", 1] == posterior_divergence(played.embeddings[1:2], originals.embeddings[:1])
    of_target = Windows.of(played.embeddings + 1, played.clip, eval_seed=played.eval_seed)
    assert clip_divergences(played, of_target) == pytest.approx(dict.fromkeys([*found, ("c", 0)], 0), abs=1e-4)
