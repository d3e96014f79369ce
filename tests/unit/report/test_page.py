"""The report page as text: what it says, what it escapes, what it weighs, and that it is the same every time."""

import json
import re
import shutil
import zipfile
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from report_run import FIGURES, RECIPES, make_page, write_report_run

from noencore.errors import UserError
from noencore.report.page import in_digits, interval_text, read_table, write_page
from noencore.report.page_words import TABLES

HOSTILE = "</script><img src=x onerror=alert(1)> \"'><!-- <b> &amp; {{ 7 * 7 }} \u2028 \u202eעברית\u202c 🎻"


class Page(HTMLParser):
    """What a browser would make of the page: start tags with attributes, texts by the tag that they stand in."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.texts, self.inside = [], [], []
        self.html = path.read_text(encoding="utf-8")
        self.feed(self.html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.inside.append(tag)

    def handle_endtag(self, tag):
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data):
        self.texts.append((self.inside[-1] if self.inside else "", data))

    def having(self, **wanted):
        """Attributes of the tags that have some attributes, `data_clip` standing for data-clip; None is any value."""
        names = {name.replace("_", "-"): value for name, value in wanted.items()}
        fits = lambda has: all(k in has and v in (None, has[k]) for k, v in names.items())  # noqa: E731
        return [attributes for _, attributes in self.tags if fits(attributes)]

    def words(self):
        return " ".join(" ".join(text for tag, text in self.texts if tag not in ("script", "style")).split())

    def json(self):
        """All data in the page."""
        blocks = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', self.html, re.S)
        return [json.loads(block) for block in blocks]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return make_page(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def page(path):
    return Page(path)


def test_it_has_a_row_a_recipe_with_verdict_number_and_interval(page):
    verdicts = page.html.split('id="verdicts"')[1].split("</table>")[0]
    assert verdicts.count("<tr") == 1 + len(RECIPES)
    assert ">partly</span>" in verdicts
    assert "60.00 [59.95, 60.05] % of what was memorised." in verdicts


def test_it_says_what_was_to_be_forgotten_on_how_many_clips_and_what_to_take(page):
    words = page.words()
    assert "To be forgotten: artist Turlough O’Carolan, 60 clips of 20 works, by a small MusicGen." in words
    assert "forget to be forgotten 60 of 20 works 24 of 12 works" in words
    taken = "The recipe we would take ga Forgotten? partly Remain set harmed Utility set improved"
    assert f"{taken} Why this one It is. The rule: The one nearest to gold that harms nothing." in words


def test_the_methods_text_has_its_headings_and_lists(page):
    methods = page.html.split('id="methods-text"')[1]
    assert re.findall("<h3>(.*?)</h3>", methods) == ["Data", "Models"]
    assert re.findall("<li>(.*?)</li>", methods) == ["<code>ga</code>: two seeds", "<code>none</code>: one"]


def test_every_figure_table_and_take_is_in_it(page):
    assert [figure["data-figure"] for figure in page.having(data_figure=None)] == list(FIGURES)
    assert [table["data-table"] for table in page.having(data_table=None)] == [
        name for name in TABLES if name != "findings"
    ]
    assert len(page.having(data_clip=None)) == 8
    assert len(page.having(data_take=None)) == len(page.having(data_player=None)) == 8 * (3 + len(RECIPES))


def test_it_asks_nothing_of_anybody(page):
    """No attribute leads elsewhere, and a policy forbids what it does not need."""
    links = [value for _, attributes in page.tags for name in ("src", "href") if (value := attributes.get(name))]
    assert {urlsplit(link).scheme for link in links} == {"", "data"}
    [policy] = page.having(http_equiv="Content-Security-Policy")
    assert policy["content"].startswith("default-src 'none'; script-src 'sha256-")
    scripts = policy["content"].split("script-src")[1].split(";")[0]
    assert "unsafe" not in scripts


def test_what_it_links_to_lies_beside_it(path, page):
    links = {value for _, attributes in page.tags for name in ("src", "href") if (value := attributes.get(name))}
    files = {link for link in links if not link.startswith(("#", "data:"))}
    assert len(files) > 50
    assert [file for file in sorted(files) if not (path.parent / file).is_file()] == []
    identities = {attributes["id"] for attributes in page.having(id=None)}
    assert {link[1:] for link in links if link.startswith("#")} <= identities


def test_identities_occur_once(page):
    identities = [attributes["id"] for attributes in page.having(id=None)]
    assert len(identities) == len(set(identities))


def test_the_zip_holds_the_page_and_all_beside_it_but_snakemakes_own(path):
    with zipfile.ZipFile(path.parents[1] / "report.zip") as archive:
        names = archive.namelist()
        assert archive.read("report/index.html") == path.read_bytes()
    beside = [file.relative_to(path.parents[1]).as_posix() for file in path.parent.rglob("[!.]*") if file.is_file()]
    assert sorted(names) == sorted(beside)


def test_the_same_run_gives_the_same_bytes(path, tmp_path):
    again = make_page(tmp_path)
    assert again.read_bytes() == path.read_bytes()
    assert (tmp_path / "report.zip").read_bytes() == (path.parents[1] / "report.zip").read_bytes()


def test_a_second_time_leaves_nothing_of_the_first(path, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(path.parents[1], run)
    write_page(run, {"figures": ["curves"]})
    assert sorted(file.name for file in (run / "report/figures").iterdir()) == ["curves.pdf", "curves.svg"]
    assert len(Page(run / "report/index.html").having(data_figure=None)) == 1


def test_words_of_a_user_are_text_wherever_they_stand(path, page, tmp_path):
    """Markup in them adds no tag (but bdi, about names from right to left) and no attribute; each can be read."""
    hostile = Page(make_page(tmp_path, text=HOSTILE))

    def shape(of_page):
        return [(tag, sorted(attributes)) for tag, attributes in of_page.tags if tag != "bdi"]

    assert shape(hostile) == shape(page)
    assert " ".join(HOSTILE.split()) in hostile.words()
    assert not [text for tag, text in hostile.texts if tag == "script" and "<img" in text]
    [metrics] = [data for data in hostile.json() if "columns" in data and "gap_to_gold" in data["columns"]]
    assert metrics["rows"][0][metrics["columns"].index("status")] == HOSTILE
    assert hostile.having(data_clip=None)[0]["data-clip"] == "clip000"
    takes = hostile.having(data_player=None)
    assert all(HOSTILE in take["aria-label"] and take["src"].startswith("audio/") for take in takes)


def test_shared_tokens_stand_in_the_order_of_their_seconds(tmp_path):
    spec = write_report_run(tmp_path, figures=(), clips=1)
    file = tmp_path / "report/listening.json"
    listening = json.loads(file.read_text())
    listening["clips"][0]["takes"][1]["match"] = {"0": 0.1, "0.5": 0.2, "10": 0.4, "2": 0.3}
    file.write_text(json.dumps(listening))
    write_page(tmp_path, spec)
    assert "10 % (0 s), 20 % (0.5 s), 30 % (2 s), 40 % (10 s)." in Page(tmp_path / "report/index.html").words()


def test_braces_of_a_user_are_not_a_template(tmp_path):
    assert "{{ 7 * 7 }}" in Page(make_page(tmp_path, text="{{ 7 * 7 }}")).words()


@pytest.mark.parametrize(
    ("variation", "said"),
    [
        ({"gold": False}, "unchanged"),
        ({"diverged": ("ga",)}, "Not tested: it diverged."),
        ({"diverged": RECIPES}, "There is no recipe that we would take"),
        ({"figures": ()}, "No figure: nothing that this run measures is drawn."),
        ({"clips": 0}, "Nothing was generated. There is no clip to listen to"),
        ({"recipes": ("npo",)}, "so there is nothing to test"),
        ({"recipes": ()}, "This run has no recipe to judge."),
    ],
    ids=lambda value: "" if isinstance(value, str) else " ".join(value),
)
def test_what_a_run_lacks_is_said_in_its_place(tmp_path, variation, said):
    words = Page(make_page(tmp_path, **variation)).words()
    assert said in words
    assert not re.search(r"\b(None|nan|NaN|inf|null|undefined)\b", words)


def test_forty_recipes_and_twelve_thousand_rows_are_a_page_that_can_be_mailed(tmp_path):
    recipes = [f"recipe_{number}" for number in range(40)]
    path = make_page(tmp_path, recipes=recipes, rows=12_000)
    assert path.stat().st_size < 10e6
    page = Page(path)
    assert [recipe for recipe in recipes if f"{recipe} 2 seeds" not in page.words()] == []
    [metrics] = [data for data in page.json() if "columns" in data and "gap_to_gold" in data["columns"]]
    assert len(metrics["rows"]) >= 12_000


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("report/verdicts.json", "{"),
        ("report/listening.json", None),
        ("report/methods.md", None),
        ("tables/metrics.csv", None),
        ("tables/metrics.tex", None),
        ("tables/cost.csv", ""),
        ("figures/curves.json", "[1"),
        ("figures/curves.svg", None),
    ],
)
def test_a_missing_or_damaged_file_is_named(tmp_path, file, content):
    spec = write_report_run(tmp_path)
    (tmp_path / file).unlink() if content is None else (tmp_path / file).write_text(content)
    with pytest.raises(UserError, match=re.escape(file)):
        write_page(tmp_path, spec)
    assert not (tmp_path / "report/index.html").exists()


def test_a_tables_columns_are_numbers_or_text(tmp_path):
    file = tmp_path / "metrics.csv"
    file.write_text('name,value,mixed,seed,n\n"a, ""b""",1.23456789,ok,7,12\n,,0.5,7,3\nc,-1e-05,inf,7,\n')
    table = read_table(file)
    assert table.columns == ["name", "value", "mixed", "n"]
    assert table.rows == [['a, "b"', 1.23457, "ok", 12], [None, None, "0.5", 3], ["c", -1e-05, "inf", None]]
    assert table.left_out == ["seed"]
    assert table.content["numeric"] == [1, 3]


def test_a_table_without_rows_keeps_its_columns(tmp_path):
    file = tmp_path / "findings.csv"
    file.write_text("finding,n\n")
    assert read_table(file).columns == ["finding", "n"]
    assert read_table(file).content["rows"] == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0.00"), (-0.01234, "−0.0123"), (123.4, "123"), (999.7, "1000"), (123456.7, "123457"), (1.5, "1.50")],
)
def test_numbers_have_three_digits(value, text):
    assert in_digits(value) == text


@pytest.mark.parametrize(
    ("judged", "texts"),
    [
        ((0.01, -0.04, 0.06), ("0.0100", "[−0.0400, 0.0600]")),
        ((12.345, 1.2, 100.4), ("12", "[1, 100]")),
        ((0.0, 0.0, 0.0), ("0.00", "[0.00, 0.00]")),
        ((1.5, None, None), ("1.50", "")),
        ((None, None, None), ("", "")),
    ],
)
def test_a_value_and_its_interval_have_the_same_decimals(judged, texts):
    assert interval_text(dict(zip(("value", "low", "high"), judged))) == texts
