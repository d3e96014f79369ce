"""The first screen of the report: what was to be forgotten, the verdict on every recipe, and the recipe to take.

report/verdicts.json is made here; docs/report.md says what its words mean.
"""

from dataclasses import asdict

import pandas as pd

from noencore.comparison.paired import KEPT_SETS
from noencore.experiment import SCRATCH, split_model_name
from noencore.report.judgements import recipe_verdict
from noencore.report.phrases import SHOWN, counted, million, percent, released_name, selector_words, with_interval
from noencore.split import SETS
from noencore.unlearning.recipes import takes_steps

HARMED = (
    "A set counts as harmed where it is shown to be, and, unless it is shown to be kept, where the rise of its NLL is "
    "above the margin or its whole interval above 0."
)
RULE = (
    "Among the recipes that have not diverged, have moved forget towards gold and not beyond it (the interval of the "
    "share of memorisation left, and the share of every seed, is below 100 %), and harm neither remain nor utility: "
    "those that are shown to keep both come first, and among them the one whose share is nearest to gold's 0 %. "
    + HARMED
)
RULE_WITHOUT_GOLD = (
    "Among the recipes that have not diverged, are shown to make forget less likely than it is to the target, and harm "
    "neither remain nor utility: those that are shown to keep both come first, and among them the one with the "
    "smallest rise of NLL on remain, as without gold a larger change on forget is not shown to be a better one. "
    + HARMED
)
NO_GOLD = (
    "There is no gold in this run, a model that never learned forget. Changes are told against the target; how much of "
    "forget is left in a model, and whether a change is what never having learned the clips would give, cannot be said."
)
INTERVALS = (
    "Intervals are of 95 %. Those of differences count works and seeds of models; those of shares of memorisation "
    "count works, and the verdict asks that every seed of the recipe agrees. Kept and as gold are shown by equivalence "
    "tests at 5 %, never inferred from a difference that was not found."
)
INTERVALS_WITHOUT_GOLD = (
    "Intervals are of 95 %. Those of differences count works and seeds of models, those of an AUC are of one model. "
    "Kept and unchanged are shown by equivalence tests at 5 %, never inferred from a difference that was not found."
)
ONE_SEED = "Every recipe has one unlearn seed: the verdicts are about these models, and other seeds may differ."


def verdicts(spec, evidence, split, parameters):
    """The content of verdicts.json, a dict.

    spec: of `experiment.words_spec`; evidence: a `RunTables`; split: the frame of split.parquet; parameters: number of
    parameters of the target.
    """
    judged = [
        recipe_verdict(evidence, recipe, models, not takes_steps(spec["recipes"][recipe]))
        for recipe, models in recipe_models(spec["models"]).items()
    ]
    notes = [INTERVALS] if evidence.has_gold else [NO_GOLD, INTERVALS_WITHOUT_GOLD]
    if {verdict.n_seeds for verdict in judged if not verdict.control} == {1}:
        notes.append(ONE_SEED)
    return {
        "experiment": spec["experiment"],
        "track": "controlled" if evidence.has_gold else "released",
        "model": target_words(spec, parameters),
        "forgotten_what": selector_words(spec["split"]["forget"]),
        "intro": intro(spec, split, parameters),
        "memorised": memorised_words(evidence),
        "counts": set_counts(split),
        "recommended": recommend(judged, evidence),
        "recipes": [plain(asdict(verdict)) for verdict in judged],
        "findings": finding_words(evidence.findings),
        "notes": notes,
    }


def recipe_models(models):
    """dict recipe -> its models, in the order of the tables; without target and gold."""
    found = {}
    for model in models:
        recipe, _ = split_model_name(model)
        if recipe not in ("target", "gold"):
            found.setdefault(recipe, []).append(model)
    return found


def target_words(spec, parameters):
    """What unlearning starts from, in words: `a MusicGen of 3 layers ... (1.6 million parameters), trained ...`."""
    model = spec["model"]
    size = f"{million(parameters)} parameters"
    if model["init"] == SCRATCH:
        shape = f"{counted(model['layers'], 'layer')}, width {model['dim']} and {counted(model['heads'], 'head')}"
        return f"a MusicGen of {shape} ({size}), trained from scratch on forget and remain"
    name = released_name(model["init"])
    if not spec["target"]["train_seeds"]:
        return f"{name} ({size}) as it was released"
    return f"{name} ({size}), fine-tuned on forget and remain"


def intro(spec, split, parameters):
    """The task in one sentence."""
    counts = set_counts(split)["forget"]
    clips = f"{counted(counts['clips'], 'clip')} of {counted(counts['works'], 'work')}"
    return f"To be forgotten: {selector_words(spec['split']['forget'])}, {clips}, by {target_words(spec, parameters)}."


def set_counts(split):
    """dict set -> clips and works of the whole set, test_clips and test_works of what the tables are made from."""
    counts = {}
    for name in SETS:
        of_set = split[split["set"] == name]
        test = of_set[of_set["part"] == "test"]
        sizes = {"clips": len(of_set), "works": of_set["work_id"].nunique()}
        counts[name] = sizes | {"test_clips": len(test), "test_works": test["work_id"].nunique()}
    return counts


def memorised_words(evidence):
    """What there is to forget: a dict of text, value, low, high, unit, n, n_works; None without gold or likelihood."""
    row = evidence.comparison("gold", "target", "forget")
    if row is None or row["status"] != "ok":
        return None
    known = with_interval(row["value"], row["ci_low"], row["ci_high"], sign=True)
    text = f"What there is to forget: gold's NLL on forget less the target's is {known} nats a token."
    numbers = {"value": row["value"], "low": row["ci_low"], "high": row["ci_high"], "unit": "nats a token"}
    return plain({"text": text, **numbers, "n": int(row["n"]), "n_works": int(row["n_works"])})


def recommend(judged, evidence):
    """The recipe to take by the declared rule: dict of recipe (None where none qualifies), rule and reason."""
    objections = {verdict.recipe: objection(verdict, evidence) for verdict in judged if not verdict.control}
    fit = [verdict for verdict in judged if objections.get(verdict.recipe, "control") == ""]
    rule = RULE if evidence.has_gold else RULE_WITHOUT_GOLD
    if not fit:
        reasons = [f"{recipe} {reason}" for recipe, reason in objections.items()]
        further = [f"and {len(reasons) - SHOWN} more"] if len(reasons) > SHOWN else []
        why = "; ".join([*reasons[:SHOWN], *further])
        reason = f"No recipe qualifies: {why}." if why else "No recipe that takes steps was run."
        return {"recipe": None, "rule": rule, "reason": reason}

    def order(verdict):
        least = abs(verdict.forgotten.value) if evidence.has_gold else verdict.remain.value
        return _unshown(verdict), least

    best = min(fit, key=order)
    others = f" {counted(len(fit), 'recipe')} of {len(objections)} qualified."
    return {"recipe": best.recipe, "rule": rule, "reason": f"{best.recipe}: {best.text}{others}"}


def objection(verdict, evidence):
    """Why a recipe cannot be recommended, "" where it can."""
    if verdict.status != "ok":
        return f"has {verdict.status}"
    if verdict.forgotten.verdict == "not tested":
        return "was not tested on forget"
    if evidence.has_gold:
        share = evidence.share_left(verdict.recipe)
        if evidence.nothing_to_forget(share):
            return "is undecided, as it is not shown that there was something to forget"
        left = percent(share["value"], share["ci_low"], share["ci_high"])
        if verdict.forgotten.verdict == "beyond gold":
            return f"went beyond gold ({left} of what was memorised is left)"
        if not max(share["ci_high"], share["seed_high"]) < 1:
            return f"is not shown to have moved forget towards gold ({left} of what was memorised is left)"
    elif verdict.forgotten.verdict != "changed" or verdict.forgotten.value <= 0:
        return f"is not shown to have made forget less likely ({_numbers(verdict.forgotten)})"
    for name in KEPT_SETS:
        judgement = getattr(verdict, name)
        if judgement.verdict == "harmed":
            return f"harms {name} ({_numbers(judgement)})"
        if judgement.verdict == "undecided" and _seems_harmed(verdict.recipe, name, judgement, evidence):
            return f"seems to harm {name} ({_numbers(judgement)})"
    return ""


def _seems_harmed(recipe, set_name, judgement, evidence):
    """Whether the rise of NLL is above the margin (where one is declared), or its whole interval above 0."""
    margin = evidence.comparison(recipe, "target", set_name)["margin"]
    return judgement.value > margin or judgement.low > 0


def _unshown(verdict):
    """Whether a recipe is not shown to keep both remain and utility; what is improved is kept."""
    return any(getattr(verdict, name).verdict not in ("kept", "improved") for name in KEPT_SETS)


def _numbers(judgement):
    return f"NLL {with_interval(judgement.value, judgement.low, judgement.high, sign=True)} {judgement.unit}"


def finding_words(findings):
    """The paper's findings in words: a dict a row of findings.parquet, with its numbers and a sentence."""
    rows = []
    for row in findings.itertuples():
        numbers = {"value": row.value, "low": row.ci_low, "high": row.ci_high, "n": row.n, "n_works": row.n_works}
        known = with_interval(row.value, row.ci_low, row.ci_high)
        said = f"{known} ({counted(row.n, 'clip')} of {counted(row.n_works, 'work')}), " if known else ""
        text = f"{row.recipe}, {row.statistic}: {said}{row.verdict}{f' ({row.note})' if row.note else ''}."
        names = {
            key: getattr(row, key) for key in ("finding", "statement", "statistic", "recipe", "set", "verdict", "note")
        }
        rows.append(plain(names | numbers | {"text": text}))
    return rows


def plain(value):
    """A dict as JSON has it: Python's own numbers, and None for what is missing."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if pd.isna(value):
        return None
    return value.item() if hasattr(value, "item") else value
