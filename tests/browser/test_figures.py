"""The figures of runs, drawn by the page from what the library makes of their tables."""

import pytest
from browsing import wait_until
from report_run import write_report_run
from run_tables import LEVELS, a_run

from noencore.report.figures import FIGURES
from noencore.report.interactive import to_plotly
from noencore.report.page import write_page

SEEDS_OF_ALL = ("ga-0", "ga-1", "rl-0", "rl-1")
RUNS = {
    "all that there is": {},
    "without gold": {"gold": 0},
    "one seed diverged": {"diverged": ("ga-0",)},
    "all diverged": {"diverged": SEEDS_OF_ALL},
    "a control alone": {"recipes": ("none",)},
    "without likelihood": {"levels": {name: level for name, level in LEVELS.items() if not name.startswith("nll")}},
    "likelihood alone": {"levels": {name: level for name, level in LEVELS.items() if name.startswith("nll")}},
}


@pytest.fixture
def drawn(visit, tmp_path_factory):
    """A function (name of RUNS, width in px) -> the page of such a run with all figures drawn."""

    def draw(run, width=1200):
        directory = tmp_path_factory.mktemp("figures")
        spec = write_report_run(directory, clips=0)
        for name in FIGURES:
            made = to_plotly(FIGURES[name](a_run(**RUNS[run])))
            (directory / f"figures/{name}.json").write_text(made, encoding="utf-8")
        write_page(directory, spec)
        page = visit(width, figures=(), clips=0)
        page.goto((directory / "report/index.html").as_uri())
        for name in FIGURES:
            figure = page.locator(f"figure[data-figure={name}]")
            figure.scroll_into_view_if_needed()
            figure.locator(".plot svg.main-svg").first.wait_for()
        return page

    return draw


APART = """() => [...document.querySelectorAll("figure[data-figure]")].flatMap(figure => {
    const whole = figure.querySelector(".plot").getBoundingClientRect();
    const texts = [...figure.querySelectorAll(".annotation text")];
    const boxes = texts.map(text => [text.textContent, text.getBoundingClientRect()]);
    const cut = boxes.filter(([, box]) => box.right > whole.right + 1 || box.left < whole.left - 1);
    const over = boxes.filter(([, one]) => boxes.some(([, other]) => one !== other && one.left < other.right - 1 &&
        other.left < one.right - 1 && one.top < other.bottom - 1 && other.top < one.bottom - 1));
    return [...cut, ...over].map(([text]) => text);
})"""


@pytest.mark.parametrize("width", [1200, 900, 400])
@pytest.mark.parametrize("run", ["all that there is", "without likelihood"])
def test_titles_and_notes_are_whole_and_apart(drawn, run, width):
    assert drawn(run, width).evaluate(APART) == []


@pytest.mark.parametrize("run", RUNS)
def test_they_are_drawn_without_a_complaint(drawn, run):
    """Any error in the console fails `visit`."""
    page = drawn(run)
    assert page.locator("figure[data-figure]").count() == len(FIGURES)
    wait_until(page, "document.querySelectorAll('figure:not(.drawn)').length === 0")
