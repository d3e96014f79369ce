"""A table as people use it: csv with all columns and digits, and Markdown and LaTeX (booktabs) to be read."""

import math
import re
from pathlib import Path

import pandas as pd

from noencore.files import atomic, write_csv
from noencore.report.phrases import decimals_of, with_interval

# Provenance, and what only a reader of the csv works with.
CSV_ONLY = {
    *("ci_method", "equivalence_low", "equivalence_high", "p", "p_method", "n_tests", "margin_source", "n_incomplete"),
    *("n_eval_seeds", "n_reference_seeds", "models", "reference_models", "seed", "d", "effective_rank"),
    *("weights_sha256", "reference_sha256", "version", "python", "numpy", "torch", "statement", "unlearn_seed"),
}
INTERVAL = "value [95 % interval]"
LONG = 40  # rows; a longer table goes over several pages
# LaTeX's default font has other signs in their places: "< 0.001" would be printed as "¡ 0.001".
NOT_IN_OT1 = str.maketrans({"<": "\\textless{}", ">": "\\textgreater{}", "|": "\\textbar{}"})


def write_table(frame, csv):
    """Write a frame to the path `csv`, and for people to the same name with .md and .tex; all three are whole files.

    The latter two join value, ci_low and ci_high in one column, and a mean and its `_sd`; round by the width of these;
    and leave out the columns of CSV_ONLY and those without any entry. The LaTeX needs booktabs, and where it has more
    than LONG rows longtable. What stands in cells is text, never markup.
    """
    write_csv(frame, csv)
    shown = readable(frame)
    for suffix, text in ((".md", markdown(shown)), (".tex", latex(shown))):
        with atomic(Path(csv).with_suffix(suffix)) as temporary:
            temporary.write_text(text, encoding="utf-8")


def readable(frame):
    """A frame of strings: the columns for people, rounded."""
    columns = {}
    for name in frame:
        of_interval = name in ("ci_low", "ci_high") and "value" in frame
        of_mean = name.endswith("_sd") and name.removesuffix("_sd") in frame
        if name in CSV_ONLY or of_interval or of_mean:
            continue
        if name == "value" and "ci_low" in frame:
            numbers = zip(*(frame[key].astype(float) for key in ("value", "ci_low", "ci_high")))
            columns[INTERVAL] = [with_interval(*row) for row in numbers]
        elif f"{name}_sd" in frame:
            columns[name] = [_mean(*pair) for pair in zip(frame[name], frame[f"{name}_sd"])]
        elif name == "p_holm":
            columns[name] = ["" if pd.isna(p) else "< 0.001" if p < 0.001 else f"{p:.3f}" for p in frame[name]]
        else:
            columns[name] = [_cell(value) for value in frame[name].tolist()]
    return pd.DataFrame({name: texts for name, texts in columns.items() if any(texts) or frame.empty}, dtype=object)


def markdown(shown):
    """A Markdown table of a frame of strings; bars, backslashes and tags in cells are shown as they are."""
    escaped = shown.rename(columns=_markdown_cell).map(_markdown_cell)
    aligned = ["right" if _is_number(shown[name]) else "left" for name in shown]
    return escaped.to_markdown(index=False, disable_numparse=True, colalign=aligned or None) + "\n"


def latex(shown):
    """A booktabs table of a frame of strings: a tabular, or a longtable where it is long."""
    long = len(shown) > LONG
    style = shown.style.hide(axis="index").format(escape="latex").format_index(escape="latex", axis=1)
    columns = "".join("r" if _is_number(shown[name]) else "l" for name in shown)
    text = style.to_latex(hrules=True, column_format=columns, environment="longtable" if long else None)
    return f"% \\usepackage{{booktabs{',longtable' if long else ''}}}\n{text.translate(NOT_IN_OT1)}"


def _mean(value, spread):
    """`3.21 ± 0.02`, rounded by the spread."""
    if pd.isna(value) or pd.isna(spread):
        return _cell(value)
    places = decimals_of(spread)
    return f"{value:.{places}f} ± {spread:.{places}f}"


def _cell(value):
    """A value as text: whole numbers in full, others with four digits, no line breaks, nothing for what is missing."""
    if isinstance(value, str):
        return " ".join(value.split())
    if pd.isna(value):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value == int(value):
        return str(int(value))
    if abs(value) >= 1000:
        return f"{value:.0f}"
    short = f"{value:.4g}"
    return short if float(short) == value else f"{value:#.4g}"  # 2.99996 is 3.000


def _is_number(column):
    """Whether what a column of strings shows are numbers."""
    return all(re.match(r"[<-]? ?\d", text) for text in column if text)


def _markdown_cell(text):
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text.replace("\\", "\\\\").replace("|", "\\|"))
