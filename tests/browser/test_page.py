"""The report page in a browser: what it shows, plays and survives."""

import json
import re
import zipfile

import pytest
from browsing import wait_until
from report_run import FIGURES, RECIPES

SECTIONS = ("verdict", "figures", "listening", "tables", "findings", "methods")
NO_WORDS = re.compile(r"\b(undefined|NaN|null|None|Infinity)\b|\[object")
LIGHT = {"figures": (), "clips": 1}  # where neither is what a test looks at
HOSTILE = (
    "<img src=nowhere onerror=\"window.hit = 1\"></script></style></title><script>window.hit = 1; alert(1)</script>"
    "'\"><svg onload='window.hit=1'> & &lt; {{ 7 * 7 }} ${7 * 7} ](javascript:alert(1)) \\u003c \u202e "
    + "x" * 300
)  # fmt: skip


def draw_all(page):
    """Scroll through the figures until every one is drawn."""
    for number in range(page.locator("figure[data-figure]").count()):
        figure = page.locator("figure[data-figure]").nth(number)
        figure.scroll_into_view_if_needed()
        figure.locator(".plot svg.main-svg").first.wait_for()


def overflow(page):
    """px that the document is wider than the window."""
    return page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


def words(page):
    return page.evaluate("document.body.innerText")


def test_it_opens_with_all_its_parts(visit):
    page = visit()
    assert page.title()
    assert page.get_attribute("html", "lang") == "en"
    for section in SECTIONS:
        assert page.locator(f"section#{section} h2").first.is_visible()
        assert page.locator(f"nav a[href='#{section}']").is_visible()
    assert page.locator("#verdicts tbody tr").count() == len(RECIPES)
    assert page.locator("figure[data-figure]").count() == len(FIGURES)
    draw_all(page)


def test_it_can_be_read_without_scripts(visit):
    page = visit(options={"java_script_enabled": False})
    assert page.locator("#verdicts tbody tr").count() == len(RECIPES)
    for name in FIGURES:
        figure = page.locator(f"figure[data-figure={name}]")
        figure.scroll_into_view_if_needed()
        picture = figure.locator("img")
        assert picture.is_visible()
        assert picture.get_attribute("src").startswith("data:image/svg+xml")
        assert not figure.locator(".plot").is_visible(), "no empty frame where nothing is drawn"
    assert page.locator("#methods").inner_text()


def test_every_link_leads_to_a_file_beside_the_page_also_in_the_zip(visit, page_of, tmp_path):
    page = visit()
    links = page.eval_on_selector_all("a[href]", "links => links.map(link => link.getAttribute('href'))")
    inside = {link[1:] for link in links if link.startswith("#")}
    files = {link for link in links if not link.startswith("#")}
    assert {identity for identity in inside if not page.locator(f"[id='{identity}']").count()} == set()
    assert {f"figures/{name}.{form}" for name in FIGURES for form in ("svg", "pdf")} <= {
        link.removeprefix("../") for link in files
    }
    with zipfile.ZipFile(page_of().parents[1] / "report.zip") as report:
        report.extractall(tmp_path)
    [index] = tmp_path.rglob("index.html")
    for link in files:
        assert (index.parent / link).is_file(), link
    assert index.read_bytes() == page_of().read_bytes()


@pytest.mark.parametrize(
    "drawing", ["new Promise(() => {})", "Promise.reject(new Error())"], ids=["unfinished", "failed"]
)
def test_a_figure_shows_its_static_picture_until_it_is_drawn(visit, drawing):
    page = visit(recipes=("ga",), figures=("tradeoff",), clips=0)
    picture, plot = page.locator("figure .still"), page.locator("figure .plot")
    draw_all(page)
    assert (picture.is_visible(), plot.is_visible()) == (False, True)
    page.add_init_script(f"window.Plotly = {{ react: () => {{ window.asked = true; return {drawing}; }} }}")
    page.reload()
    page.locator("figure").scroll_into_view_if_needed()
    wait_until(page, "window.asked")
    assert (picture.is_visible(), plot.is_visible()) == (True, False)
    assert picture.evaluate("picture => picture.decode().then(() => picture.naturalWidth)") > 0


def test_every_player_loads_its_audio(visit, page_of):
    page = visit()
    listening = json.loads((page_of().parent / "listening.json").read_text())
    takes = sum(len(clip["takes"]) for clip in listening["clips"])
    assert page.locator("audio[data-player]").count() == takes
    wait_until(page, "[...document.querySelectorAll('audio')].every(player => player.duration > 0)")
    assert page.evaluate("[...document.querySelectorAll('audio')].every(player => player.error === null)")


def test_one_player_plays_at_a_time(visit):
    page = visit()
    page.eval_on_selector_all("audio", "players => players.forEach(player => { player.loop = true })")
    playing = "[...document.querySelectorAll('audio')].flatMap((player, i) => player.paused ? [] : [i])"
    for number in (0, 3, 1):
        page.locator("audio[data-player]").nth(number).evaluate("player => player.play()")
        wait_until(page, f"String({playing}) === '{number}'")


def test_the_methods_text_is_copied(visit):
    page = visit(options={"permissions": ["clipboard-read", "clipboard-write"]}, **LIGHT)
    page.click("#copy-methods")
    wait_until(page, "document.getElementById('copied').innerText === 'Copied.'")
    pasted = page.evaluate("navigator.clipboard.readText()")
    assert pasted.split() == page.inner_text("#methods-text").split()
    assert "One composer" in pasted


@pytest.mark.parametrize("name", ["فيروز", "שלום עולם", "Ann \u202eBoleyn"])
@pytest.mark.parametrize("place", ["#verdict .lede", "#methods-text p"])
def test_a_name_from_right_to_left_turns_no_number_round(visit, name, place):
    """What stands behind a name is read behind it."""
    page = visit(width=1200, figures=(), clips=0, text=name)
    rights = """words => {
        const place = [...document.querySelectorAll("%s")].find(one => one.textContent.includes("clips"));
        const walker = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
        const found = [];
        for (let node = walker.nextNode(); node; node = walker.nextNode())
            for (const word of words) {
                const range = document.createRange(), at = node.data.indexOf(word);
                if (at < 0) continue;
                range.setStart(node, at);
                range.setEnd(node, at + word.length);
                found.push([word, range.getBoundingClientRect().left]);
            }
        return found.sort((one, other) => one[1] - other[1]).map(([word]) => word);
    }"""
    words = ["artist", name[-5:], "60", "clips", "20 works"]
    assert page.evaluate(rights % place, words) == words


def test_it_is_dark_where_the_reader_wants_it_dark(visit):
    ground = "getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).slice(0, 3).map(Number)"
    assert max(visit(dark=True, **LIGHT).evaluate(ground)) < 64
    assert min(visit(dark=False, **LIGHT).evaluate(ground)) > 240


@pytest.mark.parametrize("width", [400, 1200])
def test_it_fits_the_window(visit, width):
    page = visit(width=width, clips=1)
    draw_all(page)
    assert overflow(page) <= 0
    page.click("#blind")
    assert overflow(page) <= 0
    for section in SECTIONS:
        link = page.locator(f"nav a[href='#{section}']")
        link.scroll_into_view_if_needed()
        link.click()
        wait_until(page, f"location.hash === '#{section}'")
        wait_until(page, f"Math.abs(document.getElementById('{section}').getBoundingClientRect().top) < 800")
    assert overflow(page) <= 0


def test_more_players_than_a_browser_allows_complain_of_nothing_and_play(visit):
    """Chromium refuses the thousandth player that it has to load."""
    page = visit(recipes=tuple(f"recipe_{i}" for i in range(40)), clips=24, figures=())
    players = page.locator("audio")
    assert players.count() == 24 * 43
    players.last.evaluate("player => player.play()")
    wait_until(page, "[...document.querySelectorAll('audio')].at(-1).currentTime > 0")


def test_words_of_a_manifest_are_shown_as_text(visit):
    page = visit(width=400, clips=1, text=HOSTILE)
    draw_all(page)
    page.click("#blind")
    assert page.evaluate("window.hit") is None
    assert page.locator("img[src=nowhere], [onload], [onerror], a[href^=javascript]").count() == 0
    assert page.locator("script").count() == visit(clips=1).locator("script").count()
    shown = words(page)
    assert shown.count("<img src=nowhere") == shown.count("{{ 7 * 7 }} ${7 * 7}") > 5
    assert "49" not in page.locator("#listening").inner_text()
    assert overflow(page) <= 0


@pytest.mark.parametrize(
    "variation",
    [
        pytest.param({"gold": False}, id="without gold"),
        pytest.param({"diverged": ("ga",)}, id="one recipe diverged"),
        pytest.param({"diverged": RECIPES}, id="all diverged"),
        pytest.param({"figures": ()}, id="no figure could be drawn"),
        pytest.param({"clips": 0}, id="nothing to listen to"),
        pytest.param({"recipes": ("ga",)}, id="one recipe"),
        pytest.param({"recipes": tuple(f"recipe_{i}" for i in range(40))}, id="forty recipes"),
    ],
)
def test_other_runs_give_a_right_page_too(visit, variation):
    variation = {"figures": ("tradeoff",), "clips": 1} | variation
    page = visit(width=400, **variation)
    recipes = variation.get("recipes", RECIPES)
    draw_all(page)
    assert page.locator("#verdicts tbody tr").count() == len(recipes)
    assert page.locator("#recommended").inner_text()
    assert page.locator("figure[data-figure]").count() == len(variation["figures"])
    assert NO_WORDS.search(words(page)) is None
    for recipe in variation.get("diverged", ()):
        row = page.locator("#verdicts tbody tr", has_text=recipe).first
        assert "not tested" in row.inner_text()
        assert "diverged" in row.inner_text()
    assert overflow(page) <= 0
    wait_until(page, "[...document.querySelectorAll('audio')].every(player => player.duration > 0)")
