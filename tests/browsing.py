"""Waiting in a browser."""


def wait_until(page, condition):
    """Wait until a JavaScript expression holds in `page`.

    Playwright evaluates a bare expression anew at each look, and from the second look on the page's own
    Content-Security-Policy forbids that; a function it evaluates once, before."""
    page.wait_for_function(f"() => {condition}")
