"""The tables of the report page: sorting, filtering, and how many rows are shown of many."""

import re

import pandas as pd
import pytest
from browsing import wait_until
from report_run import write_report_run

from noencore.report.page import write_page

RUN = {"diverged": ("ga",), "rows": 1000, "figures": (), "clips": 0}
SHOWN = 200  # rows at first, and more with each press of the button


@pytest.fixture
def page(visit):
    return visit(**RUN)


@pytest.fixture
def metrics(page_of):
    """tables/metrics.csv of that run."""
    path = page_of(**RUN).parents[1] / "tables/metrics.csv"
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def column(page, name, table="metrics"):
    """The texts of a column, from top to bottom."""
    return page.evaluate(
        """([table, name]) => {
          const heads = [...document.querySelectorAll(`table[data-table=${table}] thead th`)];
          const place = heads.findIndex(head => head.textContent.trim().split(/\\s/)[0] === name);
          const rows = document.querySelectorAll(`table[data-table=${table}] tbody tr`);
          return [...rows].map(row => row.cells[place].textContent.trim());
        }""",
        [table, name],
    )


def head(page, name, table="metrics"):
    button = page.locator("button", has_text=re.compile(f"^{name}$"))
    return page.locator(f"table[data-table={table}] thead th", has=button)


def sort(page, name):
    """Press the head of a column; the direction that it says then."""
    head(page, name).get_by_role("button").click()
    return head(page, name).get_attribute("aria-sort")


def count(page):
    return page.inner_text("[data-count=metrics]")


def test_numbers_are_short_and_large_ones_have_no_exponent(visit, tmp_path_factory):
    directory = tmp_path_factory.mktemp("numbers")
    spec = write_report_run(directory, figures=(), clips=0)
    numbers = [0.00012345, 0.1234567, 1234.567, 9999.7, 123456.7]
    pd.DataFrame({"model": list("abcde"), "seconds": numbers}).to_csv(directory / "tables/cost.csv", index=False)
    write_page(directory, spec)
    page = visit(**RUN)
    page.goto((directory / "report/index.html").as_uri())
    assert column(page, "seconds", "cost") == ["1.23e-4", "0.1235", "1235", "10000", "123457"]


def test_numbers_are_sorted_as_numbers_and_empty_cells_come_last(page, metrics):
    numbers = pd.to_numeric(metrics["value"])
    assert numbers.isna().any()
    for direction in ("ascending", "descending"):
        assert sort(page, "value") == direction
        expected = numbers.sort_values(ascending=direction == "ascending").head(SHOWN)
        shown = [float(text) for text in column(page, "value")]
        assert shown == pytest.approx(list(expected), rel=1e-2)
        sorted_by = page.eval_on_selector_all("table[data-table=metrics] th[aria-sort]", "heads => heads.length")
        assert sorted_by == 1
    page.fill("input[data-filter=metrics]", "ga-0")
    while page.locator("button[data-more=metrics]").is_visible():
        page.click("button[data-more=metrics]")
    assert set(column(page, "value")) == {""}


def test_empty_cells_come_last_in_both_directions(page, metrics):
    page.fill("input[data-filter=metrics]", "fad_musicnn")
    empty = (metrics.loc[metrics["metric"] == "fad_musicnn", "value"] == "").sum()
    assert 0 < empty < SHOWN
    for _ in range(2):
        sort(page, "value")
        shown = column(page, "value")
        assert shown[-empty:] == [""] * empty
        assert "" not in shown[:-empty]


def test_words_are_sorted_as_words(page, metrics):
    sort(page, "model")
    assert column(page, "model") == sorted(metrics["model"])[:SHOWN]


def test_a_filter_keeps_the_rows_that_have_the_text_in_any_column(page, metrics):
    for text in ("remain", "RL_Caption", "continuation_match", "diverged", "no such thing"):
        page.fill("input[data-filter=metrics]", text)
        has = metrics.apply(lambda column, text=text: column.str.contains(text, case=False, regex=False)).any(axis=1)
        wanted = metrics[has]
        assert count(page) == f"{len(wanted)} of {len(metrics)} rows"
        assert column(page, "model") == list(wanted["model"])[:SHOWN]
        assert column(page, "metric") == list(wanted["metric"])[:SHOWN]


def test_more_rows_come_on_demand_until_all_are_there(page, metrics):
    rows = page.locator("table[data-table=metrics] tbody tr")
    more = page.locator("button[data-more=metrics]")
    assert count(page) == f"{len(metrics)} of {len(metrics)} rows"
    assert rows.count() == SHOWN
    more.click()
    assert rows.count() == 2 * SHOWN
    while more.is_visible():
        more.click()
    assert column(page, "metric") == list(metrics["metric"])


def test_of_twelve_thousand_rows_few_are_in_the_page(visit):
    page = visit(rows=12_000, figures=(), clips=0)
    assert page.locator("table[data-table=metrics] tbody tr").count() == SHOWN
    sort(page, "value")
    page.fill("input[data-filter=metrics]", "more_7")
    wait_until(page, "!document.querySelector('[data-count=metrics]').innerText.startsWith('12')")
    assert page.locator("table[data-table=metrics] tbody tr").count() == SHOWN
