"""The figure: whole files, the same bytes again, a sign of its own for every recipe, with gold and without."""

import numpy as np
import pandas as pd
import pytest

from noencore.report.tradeoff import COLOURS, MARKERS, draw_tradeoff


def metrics(recipes):
    rows = [
        {"recipe": recipe, "model": f"{recipe}-{seed}", "set": name, "metric": "nll_caption",
         "value": value, "ci_low": value - 0.1, "ci_high": value + 0.1}
        for index, recipe in enumerate(recipes)
        for seed in (0, 1)
        for name, value in (("forget", 2 + 0.1 * index), ("utility", 3 + 0.1 * seed))
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize("recipes", [["target", "gold", "ga"], ["target", "ga"]])
def test_the_same_table_gives_the_same_bytes(tmp_path, recipes):
    for name in ("one", "two"):
        draw_tradeoff(metrics(recipes), tmp_path / f"{name}.png", tmp_path / f"{name}.svg")
    for kind, start in (("png", b"\x89PNG"), ("svg", b"<?xml")):
        one, two = ((tmp_path / f"{name}.{kind}").read_bytes() for name in ("one", "two"))
        assert one.startswith(start)
        assert one == two
    text = (tmp_path / "one.svg").read_text()
    assert f"less {'gold' if 'gold' in recipes else 'target'}'s" in text.replace("&#39;", "'")


def test_a_row_without_a_number_is_left_out(tmp_path):
    table = metrics(["target", "gold", "ga"])
    table.loc[table["recipe"] == "ga", ["value", "ci_low", "ci_high"]] = np.nan
    draw_tradeoff(table, tmp_path / "x.png", tmp_path / "x.svg")
    assert (tmp_path / "x.png").stat().st_size > 1000


def test_forty_recipes_have_forty_signs():
    signs = {(MARKERS[number % len(MARKERS)], COLOURS[number % len(COLOURS)]) for number in range(40)}
    assert len(signs) == 40
