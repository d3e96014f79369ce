"""Report pages of pretended runs (tests/report_run.py), opened in headless Chromium."""

import shutil
from functools import cache

import pytest
from report_run import make_page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium here: .ci/chromium installs it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def page_of(tmp_path_factory):
    """A function (variations: see report_run) -> path of the page of such a run; each is made once."""
    return cache(lambda **variations: make_page(tmp_path_factory.mktemp("run"), **variations))


@pytest.fixture
def visit(browser, page_of, tmp_path_factory):
    """A function (width in px, dark, options of the browser's context, variations of the run) -> its page, just opened
    without a network. Whatever a test does with it: it asks for no file but those of runs, complains of nothing, and
    opens no dialog."""
    contexts, faults = [], []
    runs = tmp_path_factory.getbasetemp().as_uri()

    def open_page(width=1200, dark=False, options=None, **variations):
        index = page_of(**variations)
        scheme = "dark" if dark else "light"
        size = {"width": width, "height": 800}
        context = browser.new_context(viewport=size, color_scheme=scheme, offline=True, **(options or {}))
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)  # a busy machine is no fault of the page

        def on_request(request):
            if not request.url.startswith((runs, "data:", "blob:")):
                faults.append(f"request: {request.url[:200]}")

        def on_failed(request):
            if request.failure != "net::ERR_ABORTED":  # what was still loading when the page was left
                faults.append(f"{request.failure}: {request.url[:200]}")

        def on_dialog(dialog):
            faults.append(f"dialog: {dialog.message}")
            dialog.dismiss()

        page.on("request", on_request)
        page.on("requestfailed", on_failed)
        page.on("websocket", lambda socket: faults.append(f"websocket: {socket.url}"))
        page.on("popup", lambda popup: faults.append(f"popup: {popup.url}"))
        page.on("dialog", on_dialog)
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("console", lambda said: said.type == "error" and faults.append(f"console: {said.text}"))
        page.goto(index.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not faults
