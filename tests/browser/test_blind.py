"""The blind test of the report page: what a listener is told, and what becomes of his answers."""

import csv
import json
import re
from collections import defaultdict

import pytest

RECIPES = ("target", "gold", "none", "ga", "rl_caption", "rl_tokens")
RUN = {"figures": ()}
# One who hears the tune in target and none, is unsure of ga, and hears none in the rest; the grades are for quality.
TUNE = {"target": "yes", "gold": "no", "none": "yes", "ga": "unsure", "rl_caption": "no", "rl_tokens": "no"}
GRADE = {"target": 5, "gold": 4, "none": 5, "ga": 1, "rl_caption": 3, "rl_tokens": 2}
ASKED = "[data-take]:has(select)"
PLACES = f"""() => [...document.querySelectorAll("{ASKED}")].map(take =>
    [take.closest("[data-clip]").dataset.clip, take.querySelector("audio").getAttribute("src")])"""


@pytest.fixture
def page(visit):
    """The page with the blind test on."""
    page = visit(**RUN)
    page.click("#blind")
    return page


@pytest.fixture(scope="module")
def takes(page_of):
    """audio file -> what the run wrote of that take, with the clip's id and set."""
    clips = json.loads((page_of(**RUN).parent / "listening.json").read_text())["clips"]
    return {
        take["audio"]: take | {key: clip[key] for key in ("clip_id", "set")} for clip in clips for take in clip["takes"]
    }


def orders(page, takes):
    """clip_id -> recipes of its takes in the order of the page."""
    found = defaultdict(list)
    for clip, audio in page.evaluate(PLACES):
        assert takes[audio]["clip_id"] == clip
        found[clip].append(takes[audio]["recipe"])
    return dict(found)


def answer(page, takes, number=None):
    """Give the answers of TUNE and GRADE, of the first `number` takes; the recipes that were answered for."""
    answered = []
    for place, (_, audio) in enumerate(page.evaluate(PLACES)[:number]):
        recipe = takes[audio]["recipe"]
        take = page.locator(ASKED).nth(place)
        take.locator("select[data-ask=original]").select_option(TUNE[recipe])
        take.locator("select[data-ask=quality]").select_option(str(GRADE[recipe]))
        answered.append(recipe)
    return answered


def answers(page):
    """What is chosen in all selects, from top to bottom."""
    chosen = "selects => selects.map(select => select.selectedOptions[0].value)"
    return page.eval_on_selector_all("#listening select[data-ask]", chosen)


def exported(page):
    with page.expect_download() as download:
        page.click("#export")
    with open(download.value.path(), newline="") as file:
        return list(csv.DictReader(file))


def test_names_and_what_gives_them_away_are_hidden(page):
    assert page.get_attribute("#blind", "aria-pressed") == "true"
    for article in page.locator("article[data-clip]").all():
        names = article.locator(".take-name").all_inner_texts()
        assert len(names) == len(RECIPES) + 1
        letters = [re.search(r"\b([A-F])\b", name)[1] for name in names if "original" not in name.lower()]
        assert letters == list("ABCDEF")
        told = article.inner_text() + " ".join(
            article.locator("*").evaluate_all(
                "all => all.filter(one => one.checkVisibility())"
                ".flatMap(one => [one.ariaLabel, one.title, one.alt].filter(Boolean))"
            )
        )
        assert [recipe for recipe in RECIPES if re.search(rf"\b{recipe}(-0)?\b", told)] == []
        assert not re.search(r"\bdB\b|tokens? shared|0\.065|6\.5", told)
        assert not any(picture.is_visible() for picture in article.locator("[data-take]:has(select) img").all())


def test_what_was_done_to_a_player_before_does_not_tell_which_it_is(visit):
    page = visit(**RUN)
    heard = """() => Promise.all([...document.querySelectorAll("[data-recipe=ga] audio")].map(player => {
        Object.assign(player, {volume: 0.5, muted: true, playbackRate: 2, currentTime: 0.2});
        return new Promise(done => player.addEventListener("seeked", done, {once: true}));
    }))"""
    states = """() => [...new Set([...document.querySelectorAll("audio")].map(
        player => [player.currentTime, player.volume, player.muted, player.playbackRate].join()))]"""
    page.evaluate(heard)
    assert set(page.evaluate(states)) == {"0,1,false,1", "0.2,0.5,true,2"}
    page.click("#blind")
    assert page.evaluate(states) == ["0,1,false,1"]


def test_the_order_is_another_for_each_clip_and_listener(page, takes, visit):
    mine = orders(page, takes)
    assert all(sorted(order) == sorted(RECIPES) for order in mine.values())
    assert len({tuple(order) for order in mine.values()}) > 1
    other = visit(**RUN)
    other.click("#blind")
    assert orders(other, takes) != mine


def test_names_come_back(page):
    page.click("#blind")
    assert page.get_attribute("#blind", "aria-pressed") == "false"
    names = page.locator("article[data-clip] .take-name").all_inner_texts()
    for recipe in RECIPES:
        assert any(recipe in name for name in names)


def test_the_tally_counts_what_was_answered_once_it_is_asked_for(page, takes):
    answered = answer(page, takes, number=30)  # five clips of eight
    assert not page.locator("#tally table").is_visible()
    page.click("#reveal")
    rows = {row[0].split()[0]: row for row in table(page, "#tally table")}
    assert set(rows) == set(answered) == set(RECIPES)
    for recipe, row in rows.items():
        assert row[1] == ("5 of 5" if TUNE[recipe] == "yes" else "0 of 5")
        assert row[-1] == f"{GRADE[recipe]}.00 (5)"


def table(page, selector):
    return page.eval_on_selector_all(
        f"{selector} tbody tr", "rows => rows.map(row => [...row.cells].map(cell => cell.textContent.trim()))"
    )


def test_the_export_has_a_row_for_each_answered_take(page, takes):
    answer(page, takes, number=8)
    asked = [takes[audio] for _, audio in page.evaluate(PLACES)[:8]]
    rows = exported(page)
    assert list(rows[0]) == ["clip_id", "set", "model", "recipe", "original", "quality"]
    expected = [(take["clip_id"], take["set"], take["model"], take["recipe"]) for take in asked]
    assert sorted((row["clip_id"], row["set"], row["model"], row["recipe"]) for row in rows) == sorted(expected)
    for row in rows:
        assert row["original"] == TUNE[row["recipe"]]
        assert row["quality"] == str(GRADE[row["recipe"]])


def test_answers_and_order_outlive_a_reload_until_they_are_cleared(page, takes):
    answer(page, takes, number=10)
    before, order = answers(page), orders(page, takes)
    page.reload()
    if page.get_attribute("#blind", "aria-pressed") == "false":
        page.click("#blind")
    assert orders(page, takes) == order
    assert answers(page) == before
    clear(page)
    assert set(answers(page)) == {""}
    page.reload()
    if page.get_attribute("#blind", "aria-pressed") == "false":
        page.click("#blind")
    assert set(answers(page)) == {""}


def clear(page):
    page.click("#clear")


def test_another_runs_page_knows_nothing_of_the_answers(page, takes, page_of):
    """Pages opened from disk share one storage."""
    answer(page, takes, number=3)
    page.goto(page_of(figures=(), clips=3).as_uri())
    assert page.get_attribute("#blind", "aria-pressed") == "false"
    page.click("#blind")
    assert set(answers(page)) == {""}
