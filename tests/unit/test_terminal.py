"""What a run says last: a table that a terminal can show, or the line that went wrong."""

import os

import numpy as np
import pandas as pd
import pytest

from noencore.comparison.tables import HEADLINE
from noencore.terminal import SHOWN, show_error, show_results, summary_text

SUMMARY = pd.DataFrame(
    {
        "recipe": ["gold", "rl_caption"],
        "n_seeds": [2, 1],
        "nll_forget": [3.14159, np.nan],
        "fad_utility": [12.5, 0.25],
        "not_shown": [1.0, 2.0],
    }
)


def test_a_row_a_recipe_and_an_empty_cell_where_there_is_no_number():
    assert summary_text(SUMMARY).splitlines() == [
        "recipe        n  NLL forget  utility",
        "gold          2       3.142   12.500",
        "rl_caption    1                0.250",
    ]


def test_every_shown_column_is_one_that_the_summary_can_have():
    assert set(SHOWN) <= {column for column, *_ in HEADLINE}


def test_lines_of_a_whole_summary_are_equally_long_and_fit_a_terminal():
    row = {"recipe": ["rl_caption"], "n_seeds": [2], **{column: [-12.3456] for column in SHOWN}}
    lengths = {len(line) for line in summary_text(pd.DataFrame(row)).splitlines()}
    assert len(lengths) == 1
    assert lengths.pop() <= 120


def test_results_end_with_where_tables_figures_and_the_page_are(tmp_path, capsys):
    tables = tmp_path / "tables"
    tables.mkdir()
    SUMMARY.to_csv(tables / "summary.csv", index=False)
    show_results(tables)
    shown = capsys.readouterr().out
    assert summary_text(SUMMARY) in shown
    assert [line.split("  ")[0] for line in shown.splitlines()[-3:]] == [
        f"{tables}/*.csv, *.md, *.tex",
        f"{tmp_path}/figures/*.svg, *.pdf",
        f"{tmp_path}/report/index.html",
    ]


def test_nothing_is_shown_where_there_is_no_summary(tmp_path, capsys):
    show_results(tmp_path / "tables")
    assert capsys.readouterr().out == ""


@pytest.fixture
def logs(tmp_path):
    for age, (name, text) in enumerate(
        [
            ("train/newest.log", "12:00 INFO epoch 3\n"),
            ("score/second.log", "12:00 INFO start\nerror: b.wav: missing; restore it\n"),
            ("score/oldest.log", "error: a.wav: missing; restore it\n"),
        ]
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        os.utime(path, (1000 - age, 1000 - age))
    return tmp_path


def test_the_newest_error_is_shown_alone_on_stderr(logs, capsys):
    show_error(logs)
    assert capsys.readouterr() == ("", "error: b.wav: missing; restore it\n")


def test_logs_without_an_error_show_nothing(logs, capsys):
    for path in logs.rglob("*.log"):
        path.write_text("")
    show_error(logs)
    show_error(logs / "nowhere")
    assert capsys.readouterr() == ("", "")
