"""The report page for those who see, hear or point otherwise: keyboard alone, contrast, names of controls."""

import pytest
from browsing import wait_until

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
    for table in page.locator("input[data-filter]").all():
        table.fill("ga-0")  # one row is like another, and axe looks at each cell
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


def test_all_can_be_done_by_keyboard(visit):
    page = visit(**SMALL)

    def press(selector, key):
        page.locator(selector).first.focus()
        page.keyboard.press(key)

    press("nav a[href='#tables']", "Enter")
    wait_until(page, "location.hash === '#tables'")
    for key, direction in (("Enter", "ascending"), ("Space", "descending")):
        press("table[data-table=metrics] th button", key)
        assert page.locator("table[data-table=metrics] th").first.get_attribute("aria-sort") == direction
    press("summary", "Enter")
    assert page.locator("details").first.get_attribute("open") is not None
    press("#blind", "Space")
    assert page.get_attribute("#blind", "aria-pressed") == "true"
    press("select[data-ask=original]", "y")
    assert page.locator("select[data-ask=original]").first.input_value() == "yes"


def test_takes_are_played_and_changed_by_keyboard(visit):
    page = visit(**SMALL)
    page.eval_on_selector_all("audio", "players => players.forEach(player => { player.loop = true })")
    playing = "[...document.querySelectorAll('audio')].flatMap((player, i) => player.paused ? [] : [i]).join()"
    page.locator("[data-take]").first.focus()
    for key, expected in (("Space", "0"), ("ArrowRight", "0"), ("Space", "1"), ("ArrowLeft", "1"), ("Space", "0")):
        page.keyboard.press(key)
        wait_until(page, f"{playing} === '{expected}'")
    page.keyboard.press("Space")
    wait_until(page, f"{playing} === ''")


def test_the_take_started_last_plays_however_soon_it_follows(visit):
    """The browser reports a start later than it starts: two starts before the first report stopped each other."""
    page = visit(**SMALL)
    reported = """
    async () => {
      const takes = [...document.querySelectorAll("[data-take]")].slice(0, 2);
      const players = takes.map(take => take.querySelector("audio"));
      const reports = players.map(player => new Promise(done => player.addEventListener("play", done)));
      for (const take of takes) take.dispatchEvent(new KeyboardEvent("keydown", { key: " ", bubbles: true }));
      await Promise.all(reports);
      return players.map(player => player.paused);
    }
    """
    assert page.evaluate(reported) == [True, False]
