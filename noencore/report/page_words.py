"""What the report page says of sets, takes, tables and verdicts, whatever the run."""

from dataclasses import dataclass

TABLES = {  # name: title, what it holds, an example of a filter
    "summary": (
        "Summary",
        "A row a recipe: headline numbers as means over seeds, with standard deviations (_sd).",
        "ga",
    ),
    "comparisons": (
        "Comparisons",
        "Every recipe against the target and against gold, by the same clips: the mean difference with its 95 % "
        "interval over works, a p value, Holm's correction of it, and the verdict in words.",
        "gold forget nll_caption",
    ),
    "metrics": (
        "Metrics",
        "A row a model, set and metric, with the 95 % interval over works, n, the gap to gold and the status.",
        "ga-0 forget fad",
    ),
    "cost": ("Cost", "A row a model: seconds, memory, steps, and what that is beside training gold.", "gold"),
    "curves": ("Curves", "NLL of dev clips on the way of every model, in nats a token.", "ga-0 forget"),
}
SETS = {
    "forget": "to be forgotten",
    "remain": "to be kept",
    "holdout": "of the same kind as forget, never learned",
    "utility": "music from elsewhere",
}
SIDES = {"forgotten": "Forgotten?", "remain": "Remain set", "utility": "Utility set"}  # of a recipe's verdict
TAKES = {"original": "the clip itself", "target": "before unlearning", "gold": "without forget"}


@dataclass(frozen=True)
class Verdict:
    """How a verdict is shown: its tone (good, warn, bad, open), its icon, and what it means."""

    tone: str
    icon: str
    means: str


VERDICTS = {
    "as gold": Verdict("good", "full", "differs from gold, which never learned the clips, by less than the margin"),
    "partly": Verdict("warn", "half", "some of what was memorised is gone, and some is left"),
    "not": Verdict("bad", "none", "nothing of what was memorised is gone"),
    "beyond gold": Verdict(
        "warn",
        "beyond",
        "the clips are less likely than to a model that never learned them: damage, more than forgetting",
    ),
    "changed": Verdict(
        "warn", "change", "differs from the target; without gold nobody can say whether that is forgetting"
    ),
    "unchanged": Verdict("bad", "same", "as the target, within the margin"),
    "kept": Verdict("good", "full", "as good as the target, within the margin"),
    "harmed": Verdict("bad", "down", "worse than the target"),
    "improved": Verdict("good", "up", "better than the target"),
    "undecided": Verdict("open", "open", "the interval, or seeds that disagree, leave more than one answer open"),
    "not tested": Verdict("open", "dash", "there is no number: the status says why"),
    "supported": Verdict("good", "full", "the whole interval lies on the finding's side"),
    "not supported": Verdict("bad", "none", "the whole interval lies on the other side"),
}
NEUTRAL = Verdict("open", "dash", "")
