"""The report page: report/index.html from what a run has written, with all that it needs beside or inside it.

Whatever a run's user named (captions, titles, artists) reaches the page as text: jinja2 escapes it, data stands in it
as JSON without `<`, and a policy in its head lets no script run but the page's own and nothing load from elsewhere.
"""

import base64
import csv
import hashlib
import json
import math
import re
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

from noencore import __version__
from noencore.errors import UserError
from noencore.files import atomic
from noencore.report.page_words import NEUTRAL, SETS, SIDES, TABLES, TAKES, VERDICTS

TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = ("tables.js", "figures.js", "listening.js", "blind.js", "page.js")  # in this order
FORMS = ("csv", "md", "tex")  # of a table
PICTURES = ("svg", "pdf")  # of a figure
IN_FILES_ALONE = {"seed", "models", "reference_models", "weights_sha256", "reference_sha256", "version"}
LONG_COLUMNS = {"status", "note", "statement", "statistic"}
NUMBER = re.compile(r"-?\d+(\.\d+)?(e[-+]?\d+)?")
RIGHT_TO_LEFT = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff"  # scripts
NAME = re.compile(f"[{RIGHT_TO_LEFT}]+(?:[ .'’-]+[{RIGHT_TO_LEFT}]+)*")
OVERRIDES = re.compile("[\u202a-\u202e\u2066-\u2069]")  # turn round whatever follows
PRELOADED = 200  # players; of more, each is loaded when it is played: they slow a browser down, and it refuses 1,000
EPOCH = (1980, 1, 1, 0, 0, 0)  # of every file in report.zip: the earliest that the format knows


@dataclass(frozen=True)
class Figure:
    """A figure of the page: `plot` is what plotly draws, `picture` the svg as a data URI."""

    name: str
    title: str
    caption: str
    columns: list
    rows: list
    plot: dict
    picture: str


@dataclass(frozen=True)
class Table:
    """A table of the page; rows hold numbers, text, and None for empty cells."""

    name: str
    columns: list
    rows: list
    left_out: list

    @property
    def title(self):
        return TABLES[self.name][0]

    @property
    def about(self):
        return TABLES[self.name][1]

    @property
    def example(self):
        return TABLES[self.name][2]

    @property
    def content(self):
        """What the page's script makes the table from."""
        kinds = [{type(row[at]) for row in self.rows} - {type(None)} for at in range(len(self.columns))]
        numeric = [at for at, kind in enumerate(kinds) if kind and kind <= {int, float}]
        long = [at for at, name in enumerate(self.columns) if name in LONG_COLUMNS]
        return {"columns": self.columns, "rows": self.rows, "numeric": numeric, "long": long}


@dataclass(frozen=True)
class Scale:
    """Where values lie between 0 and 100 of a picture's width; marks: values to compare with."""

    low: float
    high: float
    marks: tuple

    def place(self, value):
        return round(2 + 96 * (value - self.low) / (self.high - self.low), 2)


def write_page(run, spec):
    """Write report/index.html of the results in directory `run`, tables and figures beside it, and report.zip.

    spec: dict of the names of the run's `figures`, as experiment.page_spec gives it. The same files give the same
    bytes. Raises UserError, naming the file, where one is missing or damaged.
    """
    run = Path(run)
    report = run / "report"
    _copy_all(run / "tables", report / "tables", [*TABLES, "findings"], FORMS)
    _copy_all(run / "figures", report / "figures", spec["figures"], PICTURES)
    with atomic(report / "index.html") as temporary:
        temporary.write_text(page_html(run, spec), encoding="utf-8")
    _write_zip(report, run / "report.zip")


def page_html(run, spec):
    """The page's text from the tables, figures and report files of a run (see write_page)."""
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    report = Path(run) / "report"
    verdicts, listening = _read_json(report / "verdicts.json"), _read_json(report / "listening.json")
    plotly = get_plotlyjs()
    scripts = [_template("head.js"), "\n".join(map(_template, SCRIPTS))]
    key = hashlib.sha256(json.dumps(listening, sort_keys=True).encode()).hexdigest()[:16]
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            version=__version__,
            policy=_policy([*scripts, plotly]),
            style=Markup(_template("report.css")),
            scripts=[Markup(script) for script in scripts],
            plotly=Markup(plotly),
            verdicts=verdicts,
            meanings=_meanings(verdicts),
            sides=SIDES,
            scales={side: _scale([row[side] for row in verdicts["recipes"]]) for side in SIDES},
            figures=[read_figure(Path(run) / "figures", name) for name in spec["figures"]],
            listening=listening,
            listening_key=f"noencore {verdicts['experiment']} {key}",
            preload="metadata" if sum(len(clip["takes"]) for clip in listening["clips"]) <= PRELOADED else "none",
            set_words=SETS,
            take_words=TAKES,
            tables=[read_table(Path(run) / "tables" / f"{name}.csv") for name in TABLES],
            forms=FORMS,
            methods=_blocks(report / "methods.md"),
        )
    )


def _template(name):
    return (TEMPLATES / name).read_text(encoding="utf-8")


def read_table(path):
    """A Table from a csv file. A column is numeric where all its cells are numbers or empty; six digits are kept."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            names, *lines = csv.reader(file)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable table ({error}); delete it and run again") from None
    kept = [at for at, name in enumerate(names) if name not in IN_FILES_ALONE]
    columns = [_column([line[at] for line in lines]) for at in kept]
    left_out = [name for name in names if name in IN_FILES_ALONE]
    return Table(Path(path).stem, [names[at] for at in kept], [list(row) for row in zip(*columns)], left_out)


def _column(cells):
    """Texts as cells of a Table."""
    if all(NUMBER.fullmatch(cell) for cell in cells if cell):
        return [_number(cell) if cell else None for cell in cells]
    return [cell or None for cell in cells]


def _number(text):
    return int(text) if text.lstrip("-").isdigit() else float(f"{float(text):.6g}")


def read_figure(directory, name):
    """The Figure of <name>.json and <name>.svg in a directory."""
    content = _read_json(directory / f"{name}.json")
    svg = base64.b64encode((directory / f"{name}.svg").read_bytes()).decode()
    return Figure(
        name=name,
        title=content["title"],
        caption=content["caption"],
        columns=content["table"]["columns"],
        rows=content["table"]["rows"],
        plot={key: content[key] for key in ("data", "layout", "narrow")},
        picture=f"data:image/svg+xml;base64,{svg}",
    )


def _environment():
    """jinja2 with escaping on, whatever a template is called, and an error for a name that is not there."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "separators": (",", ":"), "allow_nan": False}
    environment.filters |= {
        "number": in_digits,
        "interval": interval_text,
        "signed": lambda value: f"{value:+.1f}".replace("-", "−"),
        "percent": lambda share: f"{100 * share:.0f} %",
        "cell": lambda cell: "" if cell is None else in_digits(cell) if isinstance(cell, float) else cell,
        "isolated": isolated,
        "by_seconds": lambda match: sorted(match.items(), key=lambda share: float(share[0])),
        "verdict_kind": lambda word: VERDICTS.get(word, NEUTRAL),
    }
    return environment


def isolated(text):
    """Text as markup in which names written from right to left are set apart, so that they turn round no number beside
    them: "artist <name>, 60 clips" would be read as "artist 60, <name> clips"."""
    from markupsafe import Markup, escape

    return Markup(NAME.sub(r"<bdi>\g<0></bdi>", str(escape(OVERRIDES.sub("", text)))))


def in_digits(value):
    """A number as text: three digits, no exponent for what is large, a minus that looks like one."""
    text = f"{value:.0f}" if abs(value) >= 999.5 else f"{value:#.3g}".removesuffix(".")
    return text.replace("-", "−")


def interval_text(judged):
    """Pair of texts "value", "[low, high]" with as many decimals, of a dict of these; empty where there is none."""
    known = [judged[key] for key in ("value", "low", "high") if judged[key] is not None]
    if judged["value"] is None:
        return "", ""
    largest = max(map(abs, known))
    decimals = 2 if largest == 0 else min(max(2 - math.floor(math.log10(largest)), 0), 6)
    value, *ends = (f"{number:.{decimals}f}".replace("-", "−") for number in known)
    return value, f"[{', '.join(ends)}]" if len(ends) == 2 else ""


def _policy(scripts):
    """The content security policy: the page's own scripts by their digests, pictures and sound from beside it."""
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src 'self' file: data: blob:; "
        "media-src 'self' file:; base-uri 'none'; form-action 'none'"
    )


def _scale(judged):
    """The Scale of dicts of value, low, high and unit: zero is on it, and the whole of shares; None without values."""
    known = [part[key] for part in judged for key in ("value", "low", "high") if part[key] is not None]
    marks = (0, 100) if any(part["unit"].startswith("%") for part in judged) else (0,)
    low, high = min([*marks, *known]), max([*marks, *known])
    return Scale(low, high, marks) if known and high > low else None


def _meanings(verdicts):
    """dict word -> what it means, of the verdicts that occur."""
    said = {row[side]["verdict"] for row in verdicts["recipes"] for side in SIDES}
    return {word: verdict.means for word, verdict in VERDICTS.items() if word in said}


def _blocks(path):
    """Pairs (kind, content) of a file of paragraphs, `## ` headings and `- ` lists; the title of the whole is left out.

    kind: heading or paragraph, and its text, or list, and its items.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); delete it and run again") from None
    blocks = []
    for block in filter(None, map(str.strip, re.split(r"\n\s*\n", text))):
        if block.startswith("- "):
            items = re.split(r"\n(?=- )", block)
            blocks.append(("list", [" ".join(item.removeprefix("- ").split()) for item in items]))
        elif block.startswith("## "):
            blocks.append(("heading", block.removeprefix("## ")))
        elif not block.startswith("# "):
            blocks.append(("paragraph", " ".join(block.split())))
    return blocks


def _read_json(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not readable json ({error}); delete it and run again") from None


def _copy_all(source, destination, names, forms):
    """Make `destination` a directory of <name>.<form> from `source` and of nothing else."""
    shutil.rmtree(destination, ignore_errors=True)
    destination.mkdir(parents=True)
    for name in names:
        for form in forms:
            try:
                shutil.copyfile(source / f"{name}.{form}", destination / f"{name}.{form}")
            except OSError as error:
                raise UserError(f"{error.filename}: cannot be read ({error.strerror}); run again") from None


def _write_zip(report, path):
    """Write what the page needs as a zip of one directory, the same bytes every time."""
    files = [report / name for name in ("index.html", "verdicts.json", "listening.json", "methods.md")]
    for folder in ("audio", "figures", "spectrograms", "tables"):
        files += sorted((report / folder).glob("[!.]*"))  # Snakemake leaves a hidden file of its own in directories
    with atomic(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for file in files:
            entry = zipfile.ZipInfo(f"report/{file.relative_to(report).as_posix()}", EPOCH)
            entry.compress_type = zipfile.ZIP_STORED if file.suffix in (".mp3", ".png") else zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, file.read_bytes())
