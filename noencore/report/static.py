"""Figures for a paper, by matplotlib: svg and pdf, the same bytes every time."""

from textwrap import fill

import numpy as np

from noencore.files import atomic
from noencore.report.palette import NEUTRAL, style_of

SETTINGS = {
    "svg.hashsalt": "noencore",
    "svg.fonttype": "path",  # the same picture where a font is missing
    "pdf.fonttype": 42,  # text that journals can search
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.labelsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "text.parse_math": False,  # a dollar in a name is a dollar
}
LEGEND_ROWS = 20
SIZES = {"mean": 34, "model": 11}  # of signs, in square points
WIDER = {"*": 1.7, "P": 1.4, "X": 1.4}  # signs that fill less of their square


def write_static(figure, paths):
    """Write a `Figure` to files, dict "svg" or "pdf" -> path."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    with rc_context(SETTINGS):
        drawn = draw(figure)
        drawn.get_layout_engine().execute(drawn)
        drawn.set_layout_engine("none")  # found once; savefig would draw everything twice more
        for kind, path in paths.items():
            with atomic(path) as temporary:
                if kind == "svg":
                    FigureCanvasSVG(drawn).print_svg(temporary, metadata={"Date": None})
                else:
                    FigureCanvasPdf(drawn).print_pdf(temporary, metadata={"CreationDate": None})


def draw(figure):
    """matplotlib's figure."""
    from matplotlib.figure import Figure

    rows = -(-len(figure.panels) // figure.columns)
    names = figure.drawn() if figure.legend else []
    legend_columns = -(-len(names) // LEGEND_ROWS)
    size = (figure.columns * figure.size[0] + 0.4 + 1.1 * legend_columns, rows * (figure.size[1] + 0.45) + 0.6)
    drawn = Figure(figsize=size, layout="constrained")
    drawn.suptitle(figure.title, x=0.01, ha="left", fontsize=10)
    styles = style_of(figure.recipes)
    grid = drawn.subplots(rows, figure.columns, squeeze=False)
    for number, (panel, axes) in enumerate(zip(figure.panels, grid.flat)):
        draw_panel(axes, panel, styles, size[0] / figure.columns)
        if number % figure.columns and panel.y.ticks and panel.y == figure.panels[number - 1].y:
            axes.tick_params(labelleft=False)
    for axes in grid.flat[len(figure.panels) :]:
        axes.set_axis_off()
    draw_legends(drawn, figure, names, styles, legend_columns)
    return drawn


def draw_panel(axes, panel, styles, width):
    """One panel, `width` inches wide."""
    for guide in panel.guides:
        draw_guide(axes, guide, styles)
    for series in panel.series:
        draw_series(axes, series, styles[series.recipe])
    axes.set_title(fill(panel.title, int(width * 12)))
    axes.set_xlabel("\n".join(filter(None, [panel.x.label, panel.series and fill(panel.note, int(width * 15))])))
    axes.set_ylabel(panel.y.label)
    for axis, of_axis, name in ((panel.x, axes.xaxis, "x"), (panel.y, axes.yaxis, "y")):
        if axis.log:
            axes.set(**{f"{name}scale": "log"})
            axes.minorticks_off()
        if axis.ticks:
            of_axis.set_ticks([place for place, _ in axis.ticks], [text for _, text in axis.ticks])
        if axis.limits:
            axes.set(**{f"{name}lim": axis.limits})
    if not panel.series:
        axes.text(0.5, 0.5, fill(panel.note, int(width * 11)), ha="center", va="center", transform=axes.transAxes)
        axes.set(xticks=[], **({} if panel.y.ticks else {"yticks": []}))


def draw_guide(axes, guide, styles):
    """A line, a band or a box."""
    colour = styles[guide.recipe].colour if guide.recipe in styles else NEUTRAL
    if guide.x and guide.y:
        (left, right), (bottom, top) = guide.x, guide.y
        axes.fill(
            [left, right, right, left], [bottom, bottom, top, top], color=colour, alpha=0.25, linewidth=0, zorder=0
        )
        return
    low, high = guide.x or guide.y
    if low < high:
        (axes.axvspan if guide.x else axes.axhspan)(low, high, color=colour, alpha=0.25, linewidth=0, zorder=0)
    else:
        style = "-" if guide.recipe else ":"
        (axes.axvline if guide.x else axes.axhline)(low, color=colour, linestyle=style, linewidth=0.9, zorder=0.5)


def draw_series(axes, series, style):
    """Points with their intervals, or a line."""
    if series.kind == "line":
        axes.plot(series.x, series.y, color=style.colour, linewidth=0.8, alpha=0.8, zorder=2)
        return
    thin = {"colors": style.colour, "linewidth": 1.0 if series.kind == "mean" else 0.6, "zorder": 2.5, "alpha": 0.8}
    if series.x_interval:
        axes.hlines(series.y, *zip(*series.x_interval), **thin)
    if series.y_interval:
        axes.vlines(series.x, *zip(*series.y_interval), **thin)
    hollow = np.asarray(series.hollow or [False] * len(series.x))
    mean = series.kind == "mean"
    axes.scatter(
        series.x, series.y, SIZES[series.kind] * WIDER.get(style.marker, 1), marker=style.marker,
        facecolors=np.where(hollow, "white", style.colour).tolist(),
        edgecolors=style.colour, linewidths=0.8 if hollow.any() else 0.2,
        alpha=1 if mean else 0.65, zorder=4 if mean else 3,
    )  # fmt: skip


def draw_legends(drawn, figure, names, styles, columns):
    """Some recipes on the right, guides that are no recipe's below."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    if names:
        handles = [
            Line2D([], [], color=styles[name].colour, marker=styles[name].marker, linestyle="none", label=name)
            for name in names
        ]
        drawn.legend(handles=handles, loc="outside right upper", frameon=False, ncols=columns)
    handles = []
    for guide in figure.named_guides():
        colour = styles[guide.recipe].colour if guide.recipe in styles else NEUTRAL
        sides = guide.x or guide.y
        if sides[0] < sides[1]:
            handles.append(Patch(color=colour, alpha=0.25, linewidth=0, label=guide.label))
        else:
            style = "-" if guide.recipe else ":"
            handles.append(Line2D([], [], color=colour, linestyle=style, linewidth=0.9, label=guide.label))
    if handles:
        drawn.legend(handles=handles, loc="outside lower left", frameon=False, ncols=min(len(handles), 4), fontsize=7)
