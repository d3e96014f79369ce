"""Both renderers: the same bytes every time, any name, and a page that keeps its own colours."""

import json
import re
from itertools import combinations

import pytest
from run_tables import a_run

from noencore.report.figures import FIGURES
from noencore.report.interactive import short, to_plotly
from noencore.report.palette import style_of
from noencore.report.static import SETTINGS, draw, write_static

HOSTILE = "<b>ga</b> $x_1$ %{y} Ünïcode"


@pytest.mark.parametrize("name", ["tradeoff", "association"])
def test_the_same_tables_give_the_same_bytes(name, tmp_path):
    figure = FIGURES[name](a_run())
    for number in (1, 2):
        write_static(figure, {kind: tmp_path / f"{number}.{kind}" for kind in ("svg", "pdf")})
    for kind, start in (("svg", b"<?xml"), ("pdf", b"%PDF")):
        one, two = ((tmp_path / f"{number}.{kind}").read_bytes() for number in (1, 2))
        assert one.startswith(start)
        assert one == two
    assert to_plotly(figure) == to_plotly(FIGURES[name](a_run()))


@pytest.mark.parametrize("name", FIGURES)
def test_no_title_of_a_panel_reaches_into_the_next_or_out_of_the_picture(name):
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    with rc_context(SETTINGS):
        drawn = draw(FIGURES[name](a_run()))
        FigureCanvasAgg(drawn).draw()
    titles = {axes.get_title("left") for axes in drawn.axes} - {""}
    boxes = [text.get_window_extent() for text in drawn.findobj(Text) if text.get_text() in titles]
    assert len(boxes) == len(titles)
    assert all(box.x1 <= drawn.bbox.x1 for box in boxes)
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def test_text_is_drawn_as_paths_in_svg_and_kept_as_text_in_pdf(tmp_path):
    write_static(FIGURES["tradeoff"](a_run()), {kind: tmp_path / f"x.{kind}" for kind in ("svg", "pdf")})
    assert "<text" not in (tmp_path / "x.svg").read_text()
    assert b"/TrueType" in (tmp_path / "x.pdf").read_bytes() or b"/CIDFontType2" in (tmp_path / "x.pdf").read_bytes()


@pytest.mark.parametrize("name", ["tradeoff", "association"])
def test_names_are_text_and_never_markup(name, tmp_path):
    figure = FIGURES[name](a_run((HOSTILE, "rl")))
    write_static(figure, {"svg": tmp_path / "x.svg"})
    texts = [text.get_text() for legend in draw(figure).legends for text in legend.get_texts()]
    ticks = [label.get_text() for axes in draw(figure).axes for label in axes.get_yticklabels()]
    assert HOSTILE in texts + ticks
    parts = json.loads(to_plotly(figure))
    made = json.dumps([parts[name] for name in ("data", "layout", "narrow")], ensure_ascii=False)
    assert "<b>ga" not in made
    assert "&lt;b&gt;ga&lt;/b&gt; $x_1$ %{y} Ünïcode" in made
    assert "hovertemplate" not in made, "a template would read %{y} in a name"


@pytest.mark.parametrize("name", FIGURES)
def test_the_page_sets_all_colours_of_text_and_background(name):
    made = json.loads(to_plotly(FIGURES[name](a_run())))
    for layout in (made["layout"], made["narrow"]):
        assert layout["paper_bgcolor"] == layout["plot_bgcolor"] == "rgba(0,0,0,0)"
        axes = [value for key, value in layout.items() if re.fullmatch(r"[xy]axis\d*", key)]
        assert not any("color" in key for axis in axes for key in axis)
        assert "color" not in layout["font"]
        assert not any("color" in annotation.get("font", {}) for annotation in layout["annotations"])


@pytest.mark.parametrize("name", FIGURES)
def test_every_trace_has_its_axes_in_both_layouts(name):
    made = json.loads(to_plotly(FIGURES[name](a_run())))
    for layout in (made["layout"], made["narrow"]):
        for trace in made["data"]:
            assert trace["xaxis"].replace("x", "xaxis") in layout
            assert trace["yaxis"].replace("y", "yaxis") in layout
        domains = [layout[key]["domain"] for key in layout if key.startswith("yaxis")]
        assert all(0 <= low < high <= 1 for low, high in domains)


def test_a_recipe_has_one_entry_in_the_legend_and_its_own_sign():
    figure = FIGURES["tradeoff"](a_run())
    made = json.loads(to_plotly(figure))
    shown = [trace for trace in made["data"] if trace["showlegend"]]
    shown.sort(key=lambda trace: trace["legendrank"])
    assert [trace["name"] for trace in shown] == list(figure.recipes)
    styles = style_of(figure.recipes)
    for trace in made["data"]:
        assert trace["marker"]["color"] == styles[trace["name"]].colour
        assert trace["marker"]["symbol"] == styles[trace["name"]].symbol


def test_bars_reach_from_low_to_high():
    made = json.loads(to_plotly(FIGURES["tradeoff"](a_run())))
    ga = next(trace for trace in made["data"] if trace["name"] == "ga" and "error_x" in trace)
    assert ga["error_x"]["array"] == [0.04]
    assert ga["error_x"]["arrayminus"] == [0.03]
    assert "102 clips of 34 works, 2 models" in ga["hovertext"][0]
    assert re.search(r"-0\.9 \[-0\.93, -0\.86\]", ga["hovertext"][0])


@pytest.mark.parametrize("name", FIGURES)
def test_files_of_a_small_run_are_small(name):
    assert len(to_plotly(FIGURES[name](a_run()))) < 100_000


def test_numbers_are_short_and_what_is_missing_is_null():
    assert [short(value) for value in (1.23456, 1000.0, float("nan"), "ga", float("inf"))] == [
        1.235, 1000, None, "ga", None,
    ]  # fmt: skip
