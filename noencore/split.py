"""Which clips are forgotten, kept, held out and listened to from elsewhere; and what each is used for.

Sets (what a model has learned): `forget` and `remain` clips are learned by target, `remain` alone by gold, `holdout`
(same artist as forget) and `utility` (from elsewhere) by nobody.
Parts (what a clip is used for afterwards): learning rates are chosen on `dev`, tables are made from `test`, and a
recipe may rehearse remain clips of part `train`. Whole works are drawn, and works that are one tune stay together.
"""

import unicodedata
from dataclasses import dataclass

import numpy as np
import pandas as pd

from noencore.errors import UserError

SETS = ("forget", "remain", "holdout", "utility")
MINIMUM_TEST_CLIPS = 8  # below this no interval is worth printing
LEARNED = {"target": ("forget", "remain"), "gold": ("remain",)}


@dataclass(frozen=True)
class SplitRule:
    """forget, remain, utility: a catalogue column -> value, list of values or {"not": either}; all must match, and
    each value that is wanted has to be in the catalogue.

    holdout: share of the forget artist's tunes that nobody learns. dev: share of the tunes of every set for choosing
    learning rates. rehearse: share of the other remain tunes that recipes may step on.
    """

    forget: dict
    remain: dict
    utility: dict
    holdout: float
    dev: float
    rehearse: float
    seed: int


def make_split(catalogue, rule, needed=None):
    """Split the usable clips of a catalogue; returns a frame of clip_id, work_id, set, part sorted by clip_id.

    needed: dict set -> test clips that a later stage asks for. Raises UserError where a set is empty or too small,
    or where a clip matches both forget and remain.
    """
    clips = _chosen(catalogue, rule)
    by_tune = _set_of_group(clips)
    rng = np.random.default_rng(rule.seed)
    place = {}
    for name in ("forget", "remain", "utility"):
        place |= _draw(name, sorted(by_tune.index[by_tune == name]), rule, rng)
    clips["set"], clips["part"] = zip(*clips["group"].map(place))
    split = clips[["clip_id", "work_id", "set", "part"]].sort_values("clip_id", ignore_index=True)
    _check_sizes(split, needed or {})
    return split


def moved_clips(catalogue, rule):
    """Clips that another clip of their group takes into its set: a frame of clip_id, work_id, chosen, set.

    A near-duplicate of a forget clip is forgotten (or held out) with it, whatever its artist or source.
    """
    clips = _chosen(catalogue, rule).rename(columns={"set": "chosen"})
    clips["set"] = clips["group"].map(_set_of_group(clips.rename(columns={"chosen": "set"})))
    moved = clips[clips["set"] != clips["chosen"]]
    return moved[["clip_id", "work_id", "chosen", "set"]].sort_values("clip_id", ignore_index=True)


def _chosen(catalogue, rule):
    """The usable clips that a selector of the rule matches, with its name in `set`."""
    usable = catalogue["status"] == "ok"
    clips = catalogue.loc[usable, ["clip_id", "work_id", "group"]].assign(set=None)  # it may have a `set` of its own
    for name in ("utility", "remain", "forget"):
        matched = _matches(catalogue, usable, name, getattr(rule, name))
        clash = clips[matched & clips["set"].notna()]
        if len(clash):
            raise UserError(
                f"config: split.{name} overlaps split.{clash.iloc[0]['set']} in {len(clash)} clips "
                f"(first: {clash.iloc[0]['clip_id']}); narrow one of them"
            )
        clips.loc[matched, "set"] = name
    return clips[clips["set"].notna()].copy()


def _set_of_group(clips):
    """The set of every group: of those that its clips are chosen for the first in SETS."""
    rank = clips["set"].map(SETS.index)
    return rank.groupby(clips["group"]).min().map(dict(enumerate(SETS)))


def _matches(catalogue, usable, name, selector):
    """For each usable clip whether a selector takes it. A wanted value that no row has, used or not, is an error: a
    misspelt name in a list would stay on another side."""
    clips = catalogue[usable]
    matched = pd.Series(True, index=clips.index)
    for column, wanted in selector.items():
        if column not in clips.columns:
            raise UserError(
                f"config: split.{name}: the catalogue has no column '{column}'; it has {', '.join(clips.columns)}"
            )
        unwanted = isinstance(wanted, dict)
        wanted = wanted["not"] if unwanted else wanted
        values = [unicodedata.normalize("NFC", text) for text in (wanted if isinstance(wanted, list) else [wanted])]
        absent = [text for text in values if not (catalogue[column] == text).any()]
        if absent and not unwanted:
            raise UserError(f"config: split.{name}.{column}: {_no_clip(clips, column, absent[0])}")
        matched &= clips[column].isin(values) != unwanted
    if not matched.any():
        column, wanted = next(iter(selector.items()))
        raise UserError(f"config: split.{name}.{column}: {_no_clip(clips, column, wanted)}")
    return matched


def _no_clip(clips, column, wanted):
    known = ", ".join(map(str, clips[column].value_counts().index[:5]))
    return f"no clip matches '{wanted}'; the catalogue has: {known}"


def _draw(name, tunes, rule, rng):
    """dict tune -> (set, part), shares rounded to whole tunes."""
    drawn = [tunes[i] for i in rng.permutation(len(tunes))]
    held = drawn[: round(rule.holdout * len(drawn))] if name == "forget" else []
    place = {}
    for of, members in (("holdout", held), (name, drawn[len(held) :])):
        dev = round(rule.dev * len(members))
        rehearse = round(rule.rehearse * (len(members) - dev)) if of == "remain" else 0
        for index, tune in enumerate(members):
            place[tune] = (of, "dev" if index < dev else "train" if index < dev + rehearse else "test")
    return place


def _check_sizes(split, needed):
    counts = split.groupby(["set", "part"]).size()
    for name in SETS:
        asked, have = max(needed.get(name, 0), MINIMUM_TEST_CLIPS), int(counts.get((name, "test"), 0))
        if have < asked:
            raise UserError(
                f"config: split: {name} has {have} test clips and the metrics and generate keys need {asked}; "
                "add works under catalogue, or lower generate.prompts or generate.continuations"
            )
    for key, part, names in (("dev", "dev", SETS), ("rehearse", "train", ("remain",))):
        for name in names:
            if (name, part) not in counts:
                raise UserError(f"config: split.{key}: leaves {name} without a {part} clip; raise it")


def check_split(split):
    """Raise UserError where a split file breaks its promises: a clip or a work in two places, an unknown set."""
    unknown = set(split["set"]) - set(SETS)
    if unknown:
        raise UserError(f"split.parquet: unknown set '{min(unknown)}'; delete the file and run again")
    for column in ("clip_id", "work_id"):
        places = split.groupby(column)[["set", "part"]].nunique().max(axis=1)
        if (places > 1).any() or (column == "clip_id" and split["clip_id"].duplicated().any()):
            first = places.idxmax() if (places > 1).any() else split["clip_id"][split["clip_id"].duplicated()].iloc[0]
            raise UserError(
                f"split.parquet: {column} {first} is in two places (do forget and remain overlap?); "
                "delete the file and run again"
            )


def clip_ids(split, sets, parts=("train", "dev", "test")):
    """The clip ids of some sets and parts, in order."""
    check_split(split)
    return list(split["clip_id"][split["set"].isin(sets) & split["part"].isin(parts)])
