"""The report page of a run: its size, and how long a headless Chromium takes to open it.

`python -m benchmarks.page [results/demo]`
"""

import argparse
import shutil
import sys
import time
from pathlib import Path

from benchmarks import measure

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FIRST_FIGURE = "figure[data-figure] .plot svg.main-svg"


def opened(browser, index):
    """Seconds from the start of the navigation to the load event, and to the first figure; nothing is cached."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, offline=True)
    page = context.new_page()
    started = time.perf_counter()
    page.goto(index.as_uri(), wait_until="load")
    loaded = time.perf_counter() - started
    page.locator("#figures").scroll_into_view_if_needed()
    page.locator(FIRST_FIGURE).first.wait_for()
    drawn = time.perf_counter() - started
    context.close()
    return loaded, drawn


def sizes(run):
    """Bytes of the page and of what lies beside it."""
    report = run / "report"

    def held(pattern):
        return sum(path.stat().st_size for path in report.rglob(pattern) if path.is_file())

    return {
        "index.html": held("index.html"),
        "audio": held("audio/*"),
        "spectrograms": held("spectrograms/*"),
        "all of report/": held("*"),
        "report.zip": (run / "report.zip").stat().st_size,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, nargs="?", default=Path("results/demo"))
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    index = arguments.run.resolve() / "report/index.html"
    if CHROMIUM is None:
        sys.exit("error: no Chromium; .ci/chromium installs it")
    if not index.exists():
        sys.exit(f"error: {index}: no such page; `make run` makes it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened(browser, index)  # files come into memory
        seconds = [opened(browser, index) for _ in range(arguments.rounds)]
        version = browser.version
        browser.close()
    loaded, drawn = map(measure.spread, zip(*seconds))
    found = {"chromium": version, "seconds": {"load event": loaded, "first figure drawn": drawn}}
    measure.save("page", found | {"bytes": sizes(arguments.run)})


if __name__ == "__main__":
    main()
