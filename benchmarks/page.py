"""The report page of a run: its size, and how long a headless Chromium takes to open it.

`python -m benchmarks.page [results/demo]`
"""

import argparse
import shutil
import sys
from pathlib import Path

from benchmarks import measure

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Milliseconds from the start of the navigation, by the page's own clock; the reader goes to the figures at once.
TIMES = """
async () => {
  const drawn = () => document.querySelector("figure.drawn");
  document.getElementById("figures").scrollIntoView();
  await document.querySelector("figure .still").decode();
  await new Promise(requestAnimationFrame);
  const picture = performance.now();
  while (!drawn()) await new Promise((resolve) => setTimeout(resolve, 5));
  const figure = performance.now();
  const paint = performance.getEntriesByName("first-contentful-paint")[0].startTime;
  return [paint, performance.getEntriesByType("navigation")[0].loadEventEnd, picture, figure];
}
"""


def opened(browser, index):
    """Seconds until something is seen, until the load event, until the first figure is there as a picture and until one
    is interactive; nothing is cached."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, offline=True)
    page = context.new_page()
    page.goto(index.as_uri(), wait_until="load")
    seconds = [milliseconds / 1000 for milliseconds in page.evaluate(TIMES)]
    context.close()
    return seconds


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
    names = ("first paint", "load event", "first figure shown", "first figure interactive")
    spreads = {name: measure.spread(values) for name, values in zip(names, zip(*seconds), strict=True)}
    measure.save("page", {"chromium": version, "seconds": spreads, "bytes": sizes(arguments.run)})


if __name__ == "__main__":
    main()
