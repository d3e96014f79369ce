"""The report page for those who see, hear or point otherwise: keyboard alone, contrast, names of controls."""

import pytest

CONTROLS = "a[href], button, input, select, summary, audio, [tabindex='0']"
SMALL = {"recipes": ("ga",), "figures": ("tradeoff",), "clips": 1}
# Notes, for each control that gets the focus, whether it shows that.
WATCH = """
() => {
  window.reached = new Map();
  document.addEventListener("focusin", event => {
    const style = getComputedStyle(event.target);
    const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
    window.reached.set(event.target, outlined || style.boxShadow !== "none");
  });
}
"""


@pytest.mark.parametrize(
    ("width", "dark", "blind"),
    [(1200, False, False), (1200, True, False), (1200, False, True), (400, True, True)],
    ids=["light", "dark", "blind", "narrow, dark, blind"],
)
def test_axe_finds_no_serious_fault(visit, width, dark, blind):
    from axe_playwright_python.sync_playwright import Axe

    page = visit(width=width, dark=dark, **SMALL)
    if blind:
        page.click("#blind")
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    faults = [
        (fault["id"], [node["target"] for node in fault["nodes"]][:5])
        for fault in found
        if fault["impact"] in ("serious", "critical")
    ]
    assert faults == []


def test_tab_reaches_every_control_and_shows_where_it_is(visit):
    page = visit(**SMALL)
    page.evaluate(WATCH)
    there = f'[...document.querySelectorAll("{CONTROLS}")].filter(one => one.checkVisibility() && !one.disabled)'
    missing = f"{there}.filter(one => !window.reached.has(one)).map(one => one.outerHTML.slice(0, 120))"
    for _ in range(20):
        for _ in range(50):
            page.keyboard.press("Tab")
        if page.evaluate(f"{missing}.length") == 0:
            break
    assert page.evaluate(missing) == []
    unseen = "[...window.reached].filter(([one, seen]) => !seen).map(([one]) => one.outerHTML.slice(0, 120))"
    assert page.evaluate(unseen) == []
