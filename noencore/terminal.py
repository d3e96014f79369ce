"""What the terminal shows when a run ends: the summary table and where things are, or the one line that went wrong."""

import sys
from pathlib import Path

import pandas as pd

SHOWN = {  # column of summary.csv: heading
    "nll_forget": "NLL forget",
    "nll_holdout": "holdout",
    "nll_remain": "remain",
    "nll_utility": "utility",
    "ks_gold_forget": "KS gold",
    "membership_auc": "AUC",
    "continuation_match_0_forget": "match",
    "wrong_caption_gain_forget": "assoc.",
    "fad_forget": "FAD forget",
    "fad_remain": "remain",
    "fad_utility": "utility",
}


def summary_text(summary):
    """summary.csv as a table of fixed width: means over seeds, empty where a number could not be had."""
    columns = [column for column in SHOWN if column in summary]
    widths = [max(len(SHOWN[column]) + 2, 9) for column in columns]
    lines = [f"{'recipe':<12}{'n':>3}" + "".join(f"{SHOWN[c]:>{w}}" for c, w in zip(columns, widths))]
    for _, row in summary.iterrows():
        cells = ["" if pd.isna(row[column]) else f"{row[column]:.3f}" for column in columns]
        lines.append(f"{row['recipe']:<12}{row['n_seeds']:>3}" + "".join(f"{c:>{w}}" for c, w in zip(cells, widths)))
    return "\n".join(lines)


def show_results(tables):
    """Print the summary and where tables, figures and the page are."""
    tables = Path(tables)
    if not (tables / "summary.csv").exists():
        return
    print(f"\n{summary_text(pd.read_csv(tables / 'summary.csv'))}\n")
    print(
        "NLL in nats a token (gold is the aim on forget, target on the rest); KS gold: distance of the NLLs on forget"
    )
    print("to gold's (of gold: to each other); AUC of forget against holdout (0.5: no trace); match: share of greedy")
    print("tokens equal to the clip's; assoc.: NLL that a wrong caption costs; FAD to the originals.")
    print("What differs for sure, and what was shown to be kept, is in comparisons.csv.\n")
    print(f"{tables}/*.csv, *.md, *.tex")
    print(f"{tables.parent / 'figures'}/*.svg, *.pdf")
    print(f"{tables.parent / 'report/index.html'}  <- open this; report.zip beside it is the same to be mailed")


def show_error(logs, since=0.0):
    """Print the `error: ` line of the newest log that ends in one, of those written since a time (s since 1970)."""
    written = {path: path.stat().st_mtime for path in Path(logs).rglob("*.log")}
    for path in sorted((path for path in written if written[path] >= since), key=written.get, reverse=True):
        last = (path.read_text(errors="replace").strip().splitlines() or [""])[-1]
        if last.startswith("error: "):
            print(last, file=sys.stderr)
            return
