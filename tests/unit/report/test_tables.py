"""Tables for people: the csv is whole, and what stands in a cell is text in Markdown and in LaTeX."""

import cProfile
import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from noencore.comparison.tables import cost_table
from noencore.report.tables import INTERVAL, LONG, readable, write_table

HOSTILE = r"<script>alert(1)</script> | 50 % & #1 $x_1$ {a} ~ ^ \input{x}" + "\n| second line"


def metrics(rows=3):
    return pd.DataFrame(
        {
            "model": [f"ga_{i}-0" for i in range(rows)],
            "set": "forget",
            "value": np.linspace(1.23456789, 1.3, rows),
            "ci_low": 1.2,
            "ci_high": 1.27,
            "ci_method": "bootstrap-works",
            "n": pd.array([1234] * (rows - 1) + [None], dtype="Int64"),
            "in_gold_band": pd.array([True, False] + [None] * (rows - 2), dtype="boolean"),
            "status": "ok",
            "note": "",
            "weights_sha256": "ab" * 32,
        }
    )


def written(tmp_path, frame):
    """The three texts that a frame is written as."""
    write_table(frame, tmp_path / "table.csv")
    return [(tmp_path / f"table.{kind}").read_text() for kind in ("csv", "md", "tex")]


def markdown_rows(text):
    """The cells of every line of a Markdown table; a bar after a backslash divides nothing."""
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in text.splitlines()]


def test_the_csv_has_every_column_and_digit_and_the_others_what_is_read(tmp_path):
    csv, md, tex = written(tmp_path, metrics())
    again = pd.read_csv(tmp_path / "table.csv")
    assert list(again) == list(metrics())
    assert again["value"][0] == 1.23456789
    head, _, first, *_, last = markdown_rows(md)
    assert head == ["model", "set", INTERVAL, "n", "in_gold_band", "status"]
    assert first == ["ga_0-0", "forget", "1.23 [1.20, 1.27]", "1234", "yes", "ok"]
    assert last[3:5] == ["", ""]
    assert r"ga\_0-0 & forget & 1.23 [1.20, 1.27] & 1234 & yes & ok \\" in tex
    assert tex.count("rule\n") == 3
    assert "abab" in csv
    assert "abab" not in md + tex


def test_text_is_never_markup(tmp_path):
    frame = metrics().assign(note=HOSTILE, artist=["a\\", "b|", "\\|"])
    _, md, tex = written(tmp_path, frame)
    rows = markdown_rows(md)
    assert {len(row) for row in rows} == {len(rows[0])}
    assert "<script" not in md
    assert "</script" not in md
    body = tex.split("\\midrule\n")[1].split("\\bottomrule")[0].splitlines()
    assert len(body) == 3
    for line in body:  # every special character is escaped, so that the cells are divided where they should be
        named = r"\\textbackslash ?|\\textasciitilde ?|\\textasciicircum ?|\\text(less|greater|bar){}"
        bare = re.sub(rf"{named}|\\[&%$#_{{}}]|\\space", "", line)
        assert bare.count("&") == len(rows[0]) - 1
        assert not re.search(r"[%$#_{}~^]", bare)
        assert re.findall(r"\\\S*", bare) == ["\\\\"]


def test_latex_prints_less_and_greater_as_they_are(tmp_path):
    """In its default font `<` is an inverted exclamation mark: of a p below 0.001 the sign has to be named."""
    frame = pd.DataFrame({"p_holm": [1e-9, 0.5], "status": ["too few clips: 4 < 5", "a > b | c"]})
    _, md, tex = written(tmp_path, frame)
    assert r"\textless{} 0.001 & too few clips: 4 \textless{} 5" in tex
    assert r"a \textgreater{} b \textbar{} c" in tex
    assert not re.search(r"[<>|]", tex)
    assert "< 0.001" in md


@pytest.mark.parametrize("rows", [1, LONG, LONG + 1])
def test_environments_are_closed_and_long_tables_go_over_pages(tmp_path, rows):
    _, _, tex = written(tmp_path, metrics(max(rows, 2))[:rows])
    kind = "longtable" if rows > LONG else "tabular"
    assert re.findall(r"\\(begin|end){(\w+)}", tex) == [("begin", kind), ("end", kind)]
    columns = re.search(rf"\\begin{{{kind}}}{{(\w+)}}", tex).group(1)
    rows_of_tex = [line for line in tex.splitlines() if line.startswith("ga")]
    assert {line.count(" & ") + 1 for line in rows_of_tex} == {len(columns)}
    assert len(rows_of_tex) == rows
    assert ("longtable" in tex.splitlines()[0]) == (rows > LONG)


def test_an_interval_is_rounded_by_its_width_and_a_mean_by_its_spread():
    frame = pd.DataFrame({"value": [0.8546402, 1234.5678, 0.5, np.nan], "ci_low": [0.842064, 1200.1, np.nan, np.nan],
                          "ci_high": [0.866081, 1270.9, np.nan, np.nan]})  # fmt: skip
    assert readable(frame)[INTERVAL].tolist() == ["0.855 [0.842, 0.866]", "1235 [1200, 1271]", "0.5", ""]
    means = pd.DataFrame({"nll": [2.34567, 2.34567, np.nan], "nll_sd": [0.0123, np.nan, np.nan]})
    shown = readable(means)
    assert list(shown) == ["nll"]
    assert shown["nll"].tolist() == ["2.346 ± 0.012", "2.346", ""]


def test_numbers_are_short_and_never_change_their_kind():
    frame = pd.DataFrame(
        {"seconds": [112.3456, 2.99996, 0.05], "tokens": [3178400, 0, 473600.0], "p_holm": [1e-9, 0.0123, 1]}
    )
    shown = readable(frame)
    assert shown["seconds"].tolist() == ["112.3", "3.000", "0.05"]
    assert shown["tokens"].tolist() == ["3178400", "0", "473600"]
    assert shown["p_holm"].tolist() == ["< 0.001", "0.012", "1.000"]


def test_the_table_of_costs_is_written_without_versions(tmp_path):
    cost = {"model": "gold-0", "seconds": 10.0, "version": "0.1.0", "torch": "2.9.0", "device_name": "A | B"}
    csv, md, _ = written(tmp_path, cost_table([cost, cost | {"model": "ga-0", "seconds": 5.0}]))
    assert "2.9.0" in csv
    assert markdown_rows(md)[0] == ["model", "recipe", "seconds", "device_name", "seconds_over_gold"]
    assert markdown_rows(md)[3] == ["ga-0", "ga", "5", "A \\| B", "0.5"]


def test_files_are_utf8_whatever_the_locale(tmp_path):
    """A cluster's locale may know no ±; the page reads UTF-8."""
    program = (
        "import sys, pandas as pd; from noencore.report.tables import write_table\n"
        "write_table(pd.DataFrame({'nll': [2.3], 'nll_sd': [0.01]}), sys.argv[1])"
    )
    ascii_alone = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run(
        [sys.executable, "-c", program, tmp_path / "table.csv"], env={**os.environ, **ascii_alone}, check=True
    )
    for kind in ("md", "tex"):
        assert "2.300 ± 0.010" in (tmp_path / f"table.{kind}").read_text(encoding="utf-8")


def test_a_table_without_rows_has_its_head(tmp_path):
    csv, md, tex = written(tmp_path, metrics()[:0])
    assert csv.startswith("model,")
    assert markdown_rows(md)[0] == ["model", "set", INTERVAL, "n", "in_gold_band", "status", "note"]
    assert r"in\_gold\_band" in tex


def test_a_row_of_a_long_table_costs_no_more_than_one_of_a_short(tmp_path):
    """Eight times the rows are eight times the calls of functions; twelve thousand rows are written in seconds."""

    def calls(rows):
        profile = cProfile.Profile()
        profile.runcall(written, tmp_path, metrics(rows))
        return sum(entry.callcount for entry in profile.getstats())

    calls(2 * LONG)  # what is imported and compiled the first time
    assert calls(16 * LONG) < 9 * calls(2 * LONG)
