"""The inputs of the report page, as a finished run would have written them, but made in a second."""

import io
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from noencore.comparison.findings import FINDING_COLUMNS, FINDINGS, PAPER_RECIPES
from noencore.comparison.paired import COLUMNS as COMPARISON_COLUMNS
from noencore.comparison.tables import COLUMNS as METRIC_COLUMNS
from noencore.comparison.tables import summary_table
from noencore.files import write_csv, write_json

RECIPES = ("none", "ga", "rl_caption", "rl_tokens")
FIGURES = ("tradeoff", "curves", "codebooks", "association", "distances", "cost")
SETS = ("forget", "remain", "holdout", "utility")
METRICS = ("nll_caption", "nll_null", "wrong_caption_gain", "fad_musicnn", "kad_musicnn", "continuation_match_0_1s")
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")


def write_report_run(directory, *, recipes=RECIPES, gold=True, diverged=(), figures=FIGURES, clips=8, rows=0, text=""):
    """Write tables, figures, verdicts, methods and listening files of a run; returns the page's spec.

    recipes: names of the recipes that were run. diverged: those of them without numbers. figures: names of those that
    were drawn. clips: how many there are to listen to. rows: metrics.csv has at least so many. text: stands in every
    place where a run shows words of its user, such as captions, titles and artists.
    """
    directory = Path(directory)
    models = _models(recipes, gold)
    _write_tables(directory / "tables", models, gold, set(diverged), rows, text)
    for name in figures:
        _write_figure(directory / "figures", name, models, text)
    write_json(_verdicts(recipes, gold, set(diverged), text), directory / "report/verdicts.json")
    what = f"One composer: artist {text}, 60 clips of 20 works."
    methods = f"# Methods\n\n## Data\n\n{what}\n\n## Models\n\n- `ga`: two seeds\n- `none`: one\n"
    (directory / "report/methods.md").write_text(methods)
    _write_listening(directory / "report", ["target", *(["gold"] if gold else []), *recipes], clips, text)
    return {"figures": list(figures)}


def make_page(directory, **variations):
    """Write such a run and its page (variations: see write_report_run); returns the path of index.html."""
    from noencore.report.page import write_page

    write_page(directory, write_report_run(directory, **variations))
    return Path(directory) / "report/index.html"


def _models(recipes, gold):
    """Pairs (recipe, seed) of all models of the run."""
    trained = [("target", 0), *([("gold", 0), ("gold", 1)] if gold else [])]
    return trained + [(recipe, seed) for recipe in recipes for seed in ((0,) if recipe == "none" else (0, 1))]


def _write_tables(directory, models, gold, diverged, rows, text):
    draw = np.random.default_rng(0)
    metrics = _metrics(models, gold, diverged, rows, text, draw)
    names = {"embedding": "musicnn", "text_audio": "tagtext", "prompt": "1s"}
    recipes = list(dict.fromkeys(recipe for recipe, _ in models if recipe not in ("target", "gold")))
    curve = product(models, (0, 20, 40), SETS)
    tables = {
        "metrics": metrics,
        "summary": summary_table(metrics, names),
        "comparisons": _comparisons(recipes, gold, diverged, draw),
        "findings": _findings(recipes, text),
        "cost": pd.DataFrame(
            [
                {
                    "model": f"{recipe}-{seed}",
                    "recipe": recipe,
                    "status": "ok",
                    "seconds": draw.uniform(1, 90),
                    "steps": 40,
                }
                for recipe, seed in models
            ]
        ),
        "curves": pd.DataFrame(
            [
                {"model": f"{r}-{s}", "step": at, "set": name, "nll": draw.normal(3), "n": 30}
                for (r, s), at, name in curve
            ]
        ),
    }
    for name, table in tables.items():
        write_csv(table, directory / f"{name}.csv")
        (directory / f"{name}.md").write_text(f"| {name} |\n|---|\n")
        (directory / f"{name}.tex").write_text(f"\\begin{{tabular}}{{l}}{name}\\end{{tabular}}\n")


def _metrics(models, gold, diverged, rows, text, draw):
    """A frame of tables/metrics.csv; further metrics named more_<i> where so many rows are asked for."""
    metrics = [*METRICS, *(f"more_{i}" for i in range(-(-rows // (len(models) * len(SETS)))))]
    table = pd.DataFrame(
        [
            {
                "model": f"{r}-{s}",
                "recipe": r,
                "unlearn_seed": pd.NA if r in ("target", "gold") else s,
                "set": name,
                "metric": m,
            }
            for (r, s), name, m in product(models, SETS, metrics)
        ]
    )
    table["value"] = draw.normal(3, 0.3, len(table))
    table.loc[table["recipe"].isin(diverged), "value"] = np.nan
    table = table.assign(ci_low=table["value"] - 0.1, ci_high=table["value"] + 0.1, ci_method="bootstrap-works", n=24)
    table["status"] = np.where(table["value"].isna(), "diverged at step 30", text or "ok")
    means = table[table["recipe"] == "gold"].groupby(["set", "metric"])["value"].mean().rename("gold_mean")
    table = table.join(means, on=["set", "metric"]) if gold else table.assign(gold_mean=np.nan)
    table["gap_to_gold"] = table["value"] - table["gold_mean"]
    return table.reindex(columns=METRIC_COLUMNS)


def _comparisons(recipes, gold, diverged, draw):
    table = pd.DataFrame(
        [
            {"recipe": recipe, "reference": reference, "set": name, "metric": metric}
            for recipe, reference, name, metric in product(
                recipes, ["target", *(["gold"] if gold else [])], SETS, METRICS
            )
        ],
        columns=COMPARISON_COLUMNS,
    )
    numbers = np.where(table["recipe"].isin(diverged), np.nan, draw.normal(0, 0.2, len(table)))
    table = table.assign(value=numbers, ci_low=numbers - 0.1, ci_high=numbers + 0.1, n=24, n_works=12)
    table["verdict"] = np.select([np.isnan(numbers), abs(numbers) < 0.1], ["not tested", "as gold"], "differs")
    table["status"] = np.where(np.isnan(numbers), "diverged", "ok")
    return table


def _findings(recipes, text):
    """One finding a recipe of the paper."""
    rows = [
        {"finding": 1, "statement": FINDINGS[1], "statistic": "share of memorisation left on forget", "recipe": recipe}
        | {"set": "forget", "value": 0.5, "ci_low": 0.4, "ci_high": 0.6, "ci_method": "bootstrap-works", "n": 24}
        | {"n_works": 12, "seed": 0, "verdict": verdict, "note": text}
        for recipe, verdict in _of_paper(recipes)
    ]
    return pd.DataFrame(rows, columns=FINDING_COLUMNS)


def _write_figure(directory, name, models, text):
    """A figure of one point a recipe, with a band behind them."""
    recipes = list(dict.fromkeys(recipe for recipe, _ in models))
    traces = [
        {
            "type": "scatter", "mode": "markers", "name": recipe, "x": [number], "y": [number % 5],
            "error_y": {"type": "data", "array": [0.4]}, "marker": {"color": COLOURS[number % 4]},
        }
        for number, recipe in enumerate(recipes)
    ]  # fmt: skip
    band = {"type": "rect", "xref": "paper", "x0": 0, "x1": 1, "y0": 0, "y1": 1, "opacity": 0.2, "line": {"width": 0}}
    layout = {"shapes": [{**band, "fillcolor": "#009e73"}], "xaxis": {"title": {"text": "forget gap, nats a token"}}}
    layout |= {"yaxis": {"title": {"text": "utility gap, nats a token"}}, "height": 420}
    table = {"columns": ["recipe", "forget gap"], "rows": [[recipe, number] for number, recipe in enumerate(recipes)]}
    words = {
        "title": f"{name.capitalize()} of the run {text}".strip(),
        "caption": f"One point a recipe. {text}".strip(),
    }
    write_json(
        {"data": traces, "layout": layout, "narrow": layout, **words, "table": table}, directory / f"{name}.json"
    )
    picture = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 300 200"><circle cx="150" cy="100" r="40"/></svg>\n'
    (directory / f"{name}.svg").write_text(picture)
    (directory / f"{name}.pdf").write_bytes(b"%PDF-1.4\n")


def _verdicts(recipes, gold, diverged, text):
    what = f"artist {text or 'Turlough O’Carolan'}"
    counts = {"clips": 60, "works": 20, "test_clips": 24, "test_works": 12}
    taken = next((name for name in recipes if name not in diverged and name != "none"), None)
    entries = [_recipe_verdict(number, recipe, gold, recipe in diverged) for number, recipe in enumerate(recipes)]
    return {
        "experiment": "sample",
        "track": "controlled" if gold else "released",
        "model": "a small MusicGen",
        "forgotten_what": what,
        "intro": f"To be forgotten: {what}, 60 clips of 20 works, by a small MusicGen.",
        "memorised": {"text": "What there is to forget: 0.8 nats a token.", "value": 0.8} if gold else None,
        "counts": dict.fromkeys(SETS, counts),
        "recommended": {"recipe": taken, "rule": "The one nearest to gold that harms nothing.", "reason": "It is."},
        "recipes": entries,
        "findings": [
            {
                "finding": 1,
                "statement": FINDINGS[1],
                "statistic": "share of memorisation left on forget",
                "recipe": recipe,
            }
            | {"set": "forget", "value": 0.5, "low": 0.4, "high": 0.6, "n": 24, "n_works": 12, "verdict": verdict}
            | {"note": text, "text": f"{recipe}: {verdict}."}
            for recipe, verdict in _of_paper(recipes)
        ],
        "notes": ["Intervals are of 95 %."],
    }


def _of_paper(recipes):
    """The paper's recipes among those that were run, each with another verdict."""
    return zip([name for name in recipes if name in PAPER_RECIPES], ("supported", "not supported", "undecided"))


def _recipe_verdict(number, recipe, gold, diverged):
    words = ("not", "partly", "as gold", "beyond gold") if gold else ("unchanged", "changed", "undecided")
    sides = {
        "forgotten": (
            words,
            100 - 40 * (number % 4) if gold else 0.1 * number,
            "% of what was memorised" if gold else "nats a token",
        ),
        "remain": (("kept", "harmed", "undecided"), 0.01 * number, "nats a token"),
        "utility": (("kept", "improved"), 0.02 * number, "nats a token"),
    }
    judged = {
        side: _judged("not tested" if diverged else verdicts[number % len(verdicts)], value, unit)
        for side, (verdicts, value, unit) in sides.items()
    }
    status = f"diverged: {recipe}-0 at step 30" if diverged else "ok"
    entry = {"recipe": recipe, "control": recipe == "none", "n_seeds": 1 if recipe == "none" else 2, "status": status}
    return entry | judged | {"text": " ".join(part["text"] for part in judged.values())}


def _judged(verdict, value, unit):
    """What is said of one recipe on one set; without numbers where it diverged."""
    if verdict == "not tested":
        text = "Not tested: it diverged."
        return {
            "verdict": verdict,
            "text": text,
            "value": None,
            "low": None,
            "high": None,
            "unit": "",
            "n": 0,
            "n_works": 0,
        }
    low, high = value - 0.05, value + 0.05
    text = f"In words: {value:.2f} [{low:.2f}, {high:.2f}] {unit}."
    return {
        "verdict": verdict,
        "text": text,
        "value": value,
        "low": low,
        "high": high,
        "unit": unit,
        "n": 24,
        "n_works": 12,
    }


def _write_listening(directory, recipes, clips, text):
    for name in ("audio", "spectrograms"):
        (directory / name).mkdir(parents=True, exist_ok=True)
        (directory / name / ".snakemake_timestamp").touch()
    entries = []
    for number in range(clips):
        set_name = SETS[number % len(SETS)]
        takes = []
        for place, recipe in enumerate(["original", *recipes]):
            stem = f"{number + 1:03}-{place + 1:02}"
            (directory / f"audio/{stem}.mp3").write_bytes(_tone(220 + 20 * (place % 8)))
            (directory / f"spectrograms/{stem}.png").write_bytes(_picture(place % 8))
            shared = set_name in ("forget", "holdout") and recipe != "original"
            takes.append(
                {"model": recipe if recipe == "original" else f"{recipe}-0", "recipe": recipe, "silent": False}
                | {"audio": f"audio/{stem}.mp3", "spectrogram": f"spectrograms/{stem}.png"}
                | {"rms_db": -20.0 - place, "gain_db": 3.0, "match": {"0": 0.065, "1": 0.2} if shared else None}
            )
        names = {"clip_id": f"clip{number:03}", "set": set_name, "title": text or f"Planxty {number}"}
        about = {"artist": text or "Turlough O’Carolan", "caption": text or "a slow tune in D on a harp"}
        entries.append({**names, **about, "seconds": 0.5, "eval_seed": 0, "takes": takes})
    words = {"chosen": "The first ones.", "matching": "At one level.", "spectrograms": "Time runs to the right."}
    notes = [] if clips else ["Nothing was generated."]
    write_json({**words, "notes": notes, "clips": entries}, directory / "listening.json")


@cache
def _tone(hertz):
    """Half a second of a sine as the bytes of an mp3 file."""
    import av

    wave = (8000 * np.sin(2 * np.pi * hertz * np.arange(8000) / 16000)).astype(np.int16)
    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as container:
        stream = container.add_stream("mp3", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(wave[None], format="s16p", layout="mono")
        frame.sample_rate = 16000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return file.getvalue()


@cache
def _picture(shade):
    """The bytes of a small grey png file."""
    from PIL import Image

    file = io.BytesIO()
    Image.new("L", (64, 32), 20 * shade).save(file, "png")
    return file.getvalue()
