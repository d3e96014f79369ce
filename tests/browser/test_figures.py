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


@pytest.mark.parametrize("run", RUNS)
def test_they_are_drawn_without_a_complaint(visit, tmp_path_factory, run):
    """Any error in the console fails `visit`."""
    directory = tmp_path_factory.mktemp("figures")
    spec = write_report_run(directory, clips=0)
    for name in FIGURES:
        (directory / f"figures/{name}.json").write_text(to_plotly(FIGURES[name](a_run(**RUNS[run]))), encoding="utf-8")
    write_page(directory, spec)
    page = visit(figures=(), clips=0)
    page.goto((directory / "report/index.html").as_uri())
    for name in FIGURES:
        figure = page.locator(f"figure[data-figure={name}]")
        figure.scroll_into_view_if_needed()
        figure.locator(".plot svg.main-svg").first.wait_for()
    wait_until(page, "document.querySelectorAll('figure.undrawn').length === 0")
