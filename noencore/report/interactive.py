"""Figures for the page, as plotly's JSON. Text, grids and backgrounds have no colour: the page gives them its own."""

import html
import json
import math
from textwrap import wrap

from noencore.report.palette import NEUTRAL, style_of

GAP = 0.075  # between columns, of the width
PIXELS = 82  # an inch of a panel's height
ABOVE, BELOW = 34, 62  # pixels for a panel's title, and for its ticks and labels
DIGITS = 4
TITLE, NOTE = 14, 12  # pixels of a line
CHARACTERS = 84  # of titles in a row of panels; notes are smaller and have a quarter more
LONGEST = 44  # characters of a title on a screen of 400
CROWDED = 14  # recipes from which on signs and names are smaller


def to_plotly(figure):
    """A JSON string: data, layout, narrow (the layout of one column, for small screens), title, caption, table."""
    styles = style_of(figure.recipes)
    data = [
        trace for number, panel in enumerate(figure.panels, 1) for trace in panel_traces(figure, panel, number, styles)
    ]
    order = [html.escape(recipe) for recipe in figure.recipes]
    signs = {trace["legendgroup"]: trace for trace in reversed(data) if trace["mode"] == "markers"}
    for trace in data:  # a recipe has one entry in the legend
        trace["showlegend"] = figure.legend and trace is signs.get(trace["legendgroup"])
        if trace["showlegend"]:
            trace["legendrank"] = order.index(trace["legendgroup"])
    return json.dumps(
        {
            "data": data,
            "layout": layout(figure, figure.columns, styles),
            "narrow": layout(figure, 1, styles, narrow=True),
            "title": figure.title,
            "caption": figure.caption,
            "table": {
                "columns": list(figure.table.columns),
                "rows": [[short(cell) for cell in row] for row in figure.table.itertuples(index=False)],
            },
        },
        allow_nan=False,
        ensure_ascii=False,
        separators=(",", ":"),
    )


def short(value):
    """A number with few digits, None where there is none; anything else as it is."""
    if isinstance(value, (str, bool)):
        return value
    number = float(value)
    if not math.isfinite(number):
        return None
    number = float(f"{number:.{DIGITS}g}")
    return int(number) if number == int(number) else number


def panel_traces(figure, panel, number, styles):
    """Traces of one panel. Where ticks name the recipes, one trace a kind has them all: forty recipes draw quickly."""
    if figure.legend:
        return [trace([series], number, styles) for series in panel.series]
    kinds = dict.fromkeys(series.kind for series in panel.series)
    return [trace([one for one in panel.series if one.kind == kind], number, styles) for kind in kinds]


def trace(many, number, styles):
    """One trace of series of one kind."""
    first, alone = many[0], len({series.recipe for series in many}) == 1
    axis = "" if number == 1 else number
    made = {
        "type": "scatter",
        "name": html.escape(first.recipe) if alone else first.kind,
        "legendgroup": html.escape(first.recipe) if alone else first.kind,
        "xaxis": f"x{axis}",
        "yaxis": f"y{axis}",
        "x": [short(place) for series in many for place in series.x],
        "y": [short(place) for series in many for place in series.y],
    }
    words = [html.escape(words) for series in many for words in series.words]
    made |= {"hoverinfo": "text", "hovertext": words} if words else {"hoverinfo": "skip"}
    if first.kind == "line":
        return made | {"mode": "lines", "line": {"color": styles[first.recipe].colour, "width": 1}, "opacity": 0.8}
    made |= {"mode": "markers", "marker": marker(many, styles), "opacity": 1 if first.kind == "mean" else 0.7}
    for name in ("x", "y"):
        bars = [bar for series in many for bar in zip(getattr(series, name), interval(series, name))]
        if any(low is not None for _, (low, _) in bars):
            made[f"error_{name}"] = {
                "type": "data",
                "symmetric": False,
                "array": [high if high is None else short(high - place) for place, (_, high) in bars],
                "arrayminus": [low if low is None else short(place - low) for place, (low, _) in bars],
                "color": styles[first.recipe].colour if alone else NEUTRAL,
                "thickness": 1.5 if first.kind == "mean" else 1,
                "width": 0,
            }
    return made


def interval(series, name):
    """(low, high) of each point on one axis, None where there is none."""
    intervals = getattr(series, f"{name}_interval") or ((None, None),) * len(series.x)
    return [(None, None) if low is None or not math.isfinite(low) else (low, high) for low, high in intervals]


def marker(many, styles):
    """Signs of all points; one value for all where they are alike."""
    symbols, colours = [], []
    for series in many:
        style = styles[series.recipe]
        for hollow in series.hollow or (False,) * len(series.x):
            symbols.append(f"{style.symbol}-open" if hollow else style.symbol)
            colours.append(style.colour)
    return {
        "symbol": symbols[0] if len(set(symbols)) == 1 else symbols,
        "color": colours[0] if len(set(colours)) == 1 else colours,
        "size": 10 if many[0].kind == "mean" else 6,
    }


def layout(figure, columns, styles, narrow=False):
    """Panels in rows of so many; the height is in pixels, the width the page's. narrow: the legend goes below."""
    rows = -(-len(figure.panels) // columns)
    inside = figure.size[1] * PIXELS
    lines = [lines_of(panel, columns) for panel in figure.panels]
    titles, notes = (max([1, *map(len, part)]) for part in zip(*lines))
    above = ABOVE + (titles - 1) * TITLE + (notes - 1) * NOTE
    height = rows * (inside + above + BELOW)
    below = legend_height(figure) if figure.legend and narrow else 0
    made = {
        "height": round(height + below) + 10,
        "autosize": True,
        "margin": {"l": 10, "r": 10, "t": 5, "b": 5},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "hovermode": "closest",
        "showlegend": figure.legend,
        "legend": {"itemsizing": "constant", "font": {"size": 12 if len(figure.recipes) <= CROWDED else 10}},
        "font": {"size": 12},
        "annotations": [],
        "shapes": [],
    }
    if narrow:
        made["legend"] |= {"orientation": "h", "y": -0.02, "yanchor": "top"}
    width = (1 - GAP * (columns - 1)) / columns
    for number, panel in enumerate(figure.panels):
        row, column = divmod(number, columns)
        left, top = column * (width + GAP), 1 - (row * (inside + above + BELOW) + above) / height
        name = "" if number == 0 else number + 1
        before = figure.panels[number - 1]
        same = column and panel.y.ticks and panel.y == before.y and bool(before.series)
        drawn = {"visible": bool(panel.series)}  # plotly would make up numbers for the axes of an empty panel
        made[f"xaxis{name}"] = axis(panel.x, [left, left + width], f"y{name}") | drawn
        made[f"yaxis{name}"] = (
            axis(panel.y, [top - inside / height, top], f"x{name}") | drawn | {"showticklabels": not same}
        )
        made["shapes"] += [shape(guide, name, styles) for guide in panel.guides]
        made["annotations"] += texts(*lines[number], left, top, 2 + notes * NOTE)
    for guide in figure.named_guides() if figure.legend else []:
        next(one for one in made["shapes"] if one["name"] == html.escape(guide.label))["showlegend"] = True
    return made


def legend_height(figure):
    """Pixels of a legend below the panels, on a screen of 400."""
    names = [*figure.drawn(), *(guide.label for guide in figure.named_guides())]
    return 29 * -(-sum(50 + 7 * len(name) for name in names) // 300)


def axis(axis, domain, anchor):
    """An axis of one panel."""
    made = {
        "title": {"text": html.escape(axis.label).replace("\n", "<br>"), "font": {"size": 11}, "standoff": 6},
        "domain": [round(place, 5) for place in domain],
        "anchor": anchor,
        "automargin": True,
        "zeroline": False,
        "type": "log" if axis.log else "linear",
    }
    if axis.ticks:
        made |= {"tickvals": [short(place) for place, _ in axis.ticks]}
        made |= {"ticktext": [html.escape(text) for _, text in axis.ticks]}
    if axis.limits:
        made["range"] = [short(math.log10(end) if axis.log else end) for end in axis.limits]
    return made


def shape(guide, name, styles):
    """A line, a band or a box, below the points."""
    colour = styles[guide.recipe].colour if guide.recipe in styles else NEUTRAL
    x, y = guide.x or (0, 1), guide.y or (0, 1)
    made = {
        "type": "rect",
        "layer": "below",
        "xref": f"x{name}" if guide.x else f"x{name} domain",
        "yref": f"y{name}" if guide.y else f"y{name} domain",
        "x0": short(x[0]), "x1": short(x[1]), "y0": short(y[0]), "y1": short(y[1]),
        "name": html.escape(guide.label),
    }  # fmt: skip
    if any(side is not None and side[0] == side[1] for side in (guide.x, guide.y)):
        dash = "solid" if guide.recipe else "dot"
        return made | {"type": "line", "line": {"color": colour, "width": 1.3, "dash": dash}}
    return made | {"fillcolor": colour, "opacity": 0.3, "line": {"width": 0}}


def lines_of(panel, columns):
    """Lines of the panel's title and of its note that fit into one of so many columns."""
    title = min(CHARACTERS // columns, LONGEST)
    return wrap(panel.title, title), wrap(panel.note, title * 5 // 4)


def texts(title, note, left, top, rise):
    """The title's lines, `rise` pixels above a panel, and its note's right above it."""
    at = {"xref": "paper", "yref": "paper", "showarrow": False, "x": round(left, 5), "y": round(top, 5)}
    at |= {"xanchor": "left", "yanchor": "bottom", "align": "left"}
    title, note = ("<br>".join(map(html.escape, lines)) for lines in (title, note))
    said = [at | {"text": f"<b>{title}</b>", "yshift": rise}] if title else []
    return said + ([at | {"text": note, "font": {"size": 10}}] if note else [])
