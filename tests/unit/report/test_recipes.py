"""Every recipe that can be declared has words, with the numbers that it was given."""

import pytest

from noencore.report.recipes import recipe_words, scope_words
from noencore.unlearning.recipes import FORGET, REMAIN, SCOPE, make_recipe


@pytest.mark.parametrize("scope", SCOPE)
@pytest.mark.parametrize("remain", REMAIN)
@pytest.mark.parametrize("forget", [name for name in FORGET if name not in ("none", "task_vector")])
def test_every_loss_and_scope_has_words(forget, remain, scope):
    entry = {"forget": forget, "remain": remain, "scope": scope, "lr": 1e-5, "steps": 3}
    words = recipe_words(make_recipe("r", entry), forget_clips=100)
    assert words.startswith(f"forget loss {forget} ({FORGET[forget].says}")
    assert (f"remain loss {remain} ({REMAIN[remain].says}" in words) == (remain != "none")
    assert f"what moved: {SCOPE[scope].says}" in words
    assert "3 steps of 16 forget clips" in words


def test_what_differs_from_the_defaults_is_said():
    entry = {
        "forget": {"name": "npo", "beta": 4.0}, "remain": "kl", "gamma": 0.5, "alpha": 2.0, "lr": 2e-4, "epochs": 3,
        "batch": 8, "remain_batch": 4, "warmup": 0.1, "clip": 0.3, "p_uncond": 0.25, "codebook_weights": [1, 0, 0, 0.5],
        "scope": {"name": "lora", "rank": 4}, "stop": {"metric": "remain_rise", "bound": 0.02},
        "pick": "nearest_holdout",
    }  # fmt: skip
    words = recipe_words(make_recipe("r", entry), forget_clips=20)
    for said in (
        "npo times 0.5", "beta 4)", "kl times 2", "9 steps of 8 forget clips and 4 remain clips", "up to 0.0002",
        "warm-up of 10 %", "norm 0.3", "hidden of 25 % of the clips", "weighted by 1, 0, 0 and 0.5", "rank 4, alpha 16",
        "stopped early where NLL on remain is above 1 + bound times its start (bound 0.02)", "to that on holdout",
    ):  # fmt: skip
        assert said in words, said


def test_a_switch_is_named_where_it_is_on():
    words = [
        recipe_words(make_recipe("r", {"forget": {"name": "gradient_ascent", "cap": cap}, "lr": 1e-5, "steps": 3}), 9)
        for cap in (True, False)
    ]
    assert "forget clips, cap)" in words[0]
    assert "forget clips)" in words[1]


def test_a_control_and_the_scope_of_training():
    assert recipe_words(make_recipe("none", {"forget": "none"}), 9) == "the target itself, as a control"
    assert scope_words({"name": "lora", "rank": 2}).endswith("rank 2, alpha 16")
    assert scope_words("all") == "what moved: every weight"
