"""The list of compared metrics against what the families say of their own; a whole run is in tests/workflow/."""

from noencore.comparison.names import COMPARED, name_of
from noencore.embeddings import MODELS, TEXT_AUDIO_MODELS
from noencore.metrics import copying, extraction, likelihood, quality, text_audio


def test_the_families_that_name_their_metrics_name_the_same():
    of_sets = [
        name for model in MODELS for name in quality.metrics_of(model) if name.startswith(("fad_", "kad_", "kl_"))
    ]
    named = {
        "token_match": likelihood.MATCHES,
        "min_k": likelihood.SHARES,
        "extraction": extraction.STRENGTHS,
        "copy": copying.metrics_of("codec"),
        "text_audio": [name for model in TEXT_AUDIO_MODELS for name in text_audio.metrics_of(model)],
        ("fad", "kad", "kl"): [name for name in of_sets if not name.startswith(("fad_floor", "fad_corrected"))],
    }
    for prefix, names in named.items():
        assert sorted(names) == sorted(name for name in COMPARED if name.startswith(prefix))


def test_a_name_may_have_any_number_in_its_place():
    assert name_of("nll_q0") == name_of("nll_q11") == "nll_q<codebook>"
    assert name_of("continuation_near_0s") == name_of("continuation_near_2.5s") == "continuation_near_<s>s"
    assert [name_of(name) for name in ("nll_qx", "nll_q", "continuation_near_s", "nll_caption ", "NLL_caption")] == [
        None
    ] * 5


def test_metrics_of_one_model_against_gold_or_holdout_are_not_compared():
    for name in ("membership_auc", "ks_gold", "fad_floor_codec", "fad_corrected_codec", "copy_window_threshold"):
        assert name_of(name) is None
