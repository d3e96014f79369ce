"""Numbers, lists and parts of the config in words: what the verdicts, the methods text and the tables share."""

import math
import re
from pathlib import Path

import pandas as pd

SHOWN = 10  # names of a list that are spelt out


def decimals_of(half):
    """Decimals that show half the width of an interval by one digit, by two where it begins with 1 or 2; 3 for none."""
    if not half > 0 or not math.isfinite(half):
        return 3
    return min(max(0, -math.floor(math.log10(half / 3))), 6)


def with_interval(value, low, high, sign=False):
    """`0.855 [0.842, 0.866]`, rounded by the width of the interval; the value alone where there is none, "" without."""
    if pd.isna(value):
        return ""
    plus = "+" if sign else ""
    if pd.isna(low) or pd.isna(high):
        return f"{value:{plus}.3g}"
    places = decimals_of((high - low) / 2)
    value, low, high = (round(number, places) + 0.0 for number in (value, low, high))  # + 0.0: no minus zero
    return f"{value:{plus}.{places}f} [{low:{plus}.{places}f}, {high:{plus}.{places}f}]"


def percent(value, low, high):
    """Shares as `85 % [84, 87]`."""
    value, low, high = 100 * value, 100 * low, 100 * high
    places = decimals_of(1.5 * (high - low)) if high > low else 0
    value, low, high = (round(number, places) + 0.0 for number in (value, low, high))
    return f"{value:.{places}f} % [{low:.{places}f}, {high:.{places}f}]"


def in_percent(share):
    """`33 %`, `0.5 %`."""
    return f"{100 * share:.3g} %"


def p_value(p):
    """`p = 0.012`, or `p < 0.001`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def counted(number, noun):
    """`1 clip`, `2 clips`, `1,200 clips`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def listed(names, last="and", shown=SHOWN):
    """`a, b and c` on one line; of long lists the first ones that are `shown`, and how many more."""
    names = [" ".join(str(name).split()) for name in names]
    if len(names) > shown:
        names = [*names[:shown], f"{len(names) - shown} more"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}" if names else "none"


def selector_words(selector):
    """A selector of `split` in words: `artist Ann, and folder other than a and b`; `every clip` where it is empty."""
    parts = []
    for column, wanted in selector.items():
        unwanted = isinstance(wanted, dict)
        wanted = wanted["not"] if unwanted else wanted
        names = wanted if isinstance(wanted, list) else [wanted]
        parts.append(f"{column} other than {listed(names)}" if unwanted else f"{column} {listed(names, 'or')}")
    return ", and ".join(parts) or "every clip"


def released_name(init):
    """The name of a released model; of one in a directory of the user's the directory's own, without where it lies."""
    return init if re.fullmatch(r"\w[\w.-]*/[\w.-]+", init) else Path(init).name


def million(number):
    """`1.6 million`, `420 million`, `3.3 billion`; smaller numbers in full."""
    for size, word in ((1e9, "billion"), (1e6, "million")):
        if number >= size:
            return f"{number / size:.3g} {word}"
    return f"{number:,}"


def duration(seconds):
    """`2.4 s`, `112 s`, `12 min`, `3.4 h`."""
    for size, unit in ((7200, "h"), (600, "min")):
        if seconds >= size:
            return f"{seconds / (3600 if unit == 'h' else 60):.3g} {unit}"
    return f"{seconds:.3g} s"
