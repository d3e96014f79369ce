"""Snakemake's own report of a finished run."""

import json
import re
import zipfile
from pathlib import Path

import pytest

TABLES = {"metrics", "summary", "findings", "comparisons", "cost", "curves"}


class Report:
    """What a report.zip holds: its texts, its results by file name, and the categories that they are shown in."""

    def __init__(self, path):
        self.zip = zipfile.ZipFile(path)
        self.html = self.zip.read("report/report.html").decode()
        self.description = self.value("workflow-desc")
        self.results = {result["filename"]: result for result in self.value("results").values()}
        self.places = {
            Path(path).name: (category, subcategory)
            for category, parts in self.value("categories").items()
            for subcategory, paths in parts.items()
            for path in paths
        }

    def value(self, name):
        """What the page's script of that name gives its variable."""
        start = self.html.index("= ", self.html.index(f'<script id="{name}">')) + 2
        return json.JSONDecoder().raw_decode(self.html, start)[0]


@pytest.fixture(scope="module")
def report(finished):
    finished.run("--report", "report.zip")
    return Report(finished.root / "report.zip")


def text(html):
    return " ".join(re.sub("<[^>]*>", "", html).split())


def test_every_table_and_figure_is_there_with_category_labels_and_caption(report, finished):
    figures = {path.name for path in (finished.results / "figures").glob("*.svg")}
    tables = {f"{name}.csv" for name in TABLES}
    assert set(report.results) == tables | figures | {"report.zip"}
    assert figures
    for name in tables | figures:
        kind, result = "table" if name in tables else "figure", report.results[name]
        category, subcategory = report.places[name]
        assert category == f"{kind.capitalize()}s"
        assert subcategory in {"Results", "Jobs"}
        assert list(result["labels"]) == [kind]
        assert len(text(result["caption"])) > 40
        made = next(finished.results.rglob(f"{kind}s/{name}"))
        assert report.zip.read(f"report/{result['data_uri']}") == made.read_bytes()


def test_the_page_of_the_run_is_in_it_whole(report, finished):
    result = report.results["report.zip"]
    assert report.places["report.zip"][0] == "Page"
    assert result["labels"]
    assert "index.html" in text(result["caption"])
    assert report.zip.read(f"report/{result['data_uri']}") == (finished.results / "report.zip").read_bytes()


def test_captions_and_description_say_what_this_run_is(report):
    assert "Turlough O'Carolan" in text(report.description).replace("&#x27;", "'")
    assert "Recipes: none, ga;" in text(report.description)
    assert "1 gold model trained without forget says what" in text(report.description)
    assert "nll_caption 0.05" in text(report.results["comparisons.csv"]["caption"])


def test_nothing_in_them_is_left_unrendered(report):
    for html in (report.description, *(result["caption"] for result in report.results.values())):
        assert "system-message" not in html  # docutils' own complaints
        assert not re.search(r"\{[{%]|``", html)
