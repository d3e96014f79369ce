"""The split: whole tunes, drawn by a seed, each in one set and one part."""

import itertools
import unicodedata
from dataclasses import replace

import pandas as pd
import pytest

from noencore.errors import UserError
from noencore.split import SETS, SplitRule, check_split, clip_ids, make_split, moved_clips

RULE = SplitRule(
    forget={"artist": "Carolan"},
    remain={"source": "oneill", "artist": "traditional"},
    utility={"source": "ryan"},
    holdout=0.4,
    dev=0.25,
    rehearse=0.3,
    seed=0,
)
WORKS = {"Carolan": 40, "traditional": 30, "ryan": 20}


@pytest.fixture
def catalogue():
    """Two clips a work; each work is a tune of its own, in a book of its own set."""
    rows = [
        {
            "clip_id": f"{name}{work:02}-{clip}",
            "work_id": f"{name}{work:02}",
            "group": f"{name}{work:02}",
            "source": "ryan" if name == "ryan" else "oneill",
            "artist": "traditional" if name == "ryan" else name,
            "status": "ok",
        }
        for name, count in WORKS.items()
        for work in range(count)
        for clip in range(2)
    ]
    return pd.DataFrame(rows)


def works(split, **where):
    chosen = split
    for column, value in where.items():
        chosen = chosen[chosen[column] == value]
    return set(chosen["work_id"])


def test_shares_are_of_whole_works(catalogue):
    """forget 40: 16 held out; dev a quarter of each; of the 22 other remain works 0.3 to rehearse on."""
    split = make_split(catalogue, RULE)
    counts = split.groupby(["set", "part"])["work_id"].nunique().to_dict()
    assert counts == {
        ("forget", "dev"): 6,
        ("forget", "test"): 18,
        ("holdout", "dev"): 4,
        ("holdout", "test"): 12,
        ("remain", "dev"): 8,
        ("remain", "test"): 15,
        ("remain", "train"): 7,
        ("utility", "dev"): 5,
        ("utility", "test"): 15,
    }


def test_every_usable_clip_has_one_place_and_every_work_too(catalogue):
    split = make_split(catalogue, RULE)
    check_split(split)
    assert list(split["clip_id"]) == sorted(catalogue["clip_id"])
    assert list(split) == ["clip_id", "work_id", "set", "part"]
    assert set(split["set"]) == set(SETS)


def test_the_same_seed_is_the_same_split_whatever_the_order_of_rows(catalogue):
    shuffled = catalogue.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(make_split(catalogue, RULE), make_split(shuffled, RULE))


def test_another_seed_draws_other_works_of_the_same_number(catalogue):
    one, two = make_split(catalogue, RULE), make_split(catalogue, replace(RULE, seed=1))
    assert works(one, set="holdout") != works(two, set="holdout")
    assert one.groupby(["set", "part"]).size().equals(two.groupby(["set", "part"]).size())


def test_dev_and_rehearse_do_not_change_what_models_learn(catalogue):
    one, two = make_split(catalogue, RULE), make_split(catalogue, replace(RULE, dev=0.4, rehearse=0.1))
    for name in SETS:
        assert works(one, set=name) == works(two, set=name)


def test_works_that_are_one_tune_stay_together_on_the_side_that_forgets(catalogue):
    for one, other in (("Carolan00", "traditional00"), ("Carolan01", "ryan01"), ("traditional02", "ryan02")):
        catalogue.loc[catalogue["work_id"] == other, "group"] = one
    split = make_split(catalogue, RULE).groupby("work_id")[["set", "part"]].first()
    assert tuple(split.loc["traditional00"]) == tuple(split.loc["Carolan00"])
    assert tuple(split.loc["ryan01"]) == tuple(split.loc["Carolan01"])
    assert split.loc["ryan01", "set"] in ("forget", "holdout")
    assert tuple(split.loc["ryan02"]) == tuple(split.loc["traditional02"])
    assert split.loc["ryan02", "set"] == "remain"


def test_unusable_clips_and_clips_of_no_set_are_left_out(catalogue):
    catalogue.loc[0, "status"] = "unreadable"
    stranger = catalogue.iloc[[-1]].assign(clip_id="x", work_id="x", group="x", source="elsewhere")
    split = make_split(pd.concat([catalogue, stranger]), RULE)
    assert set(catalogue["clip_id"]) - set(split["clip_id"]) == {catalogue.loc[0, "clip_id"]}
    assert "x" not in set(split["clip_id"])


def test_a_selector_takes_a_list(catalogue):
    both = replace(RULE, remain={"source": ["oneill", "ryan"], "artist": "traditional"}, utility={"clip_id": "none"})
    with pytest.raises(UserError, match="no clip matches 'none'"):
        make_split(catalogue, both)
    lists = replace(RULE, forget={"artist": ["Carolan"]}, remain={"source": ["oneill"], "artist": ["traditional"]})
    pd.testing.assert_frame_equal(make_split(catalogue, lists), make_split(catalogue, RULE))


def test_a_name_is_the_same_however_its_accents_are_written(catalogue):
    catalogue["artist"] = catalogue["artist"].replace("Carolan", "Ó Cearbhalláin")
    apart = {"artist": unicodedata.normalize("NFD", "Ó Cearbhalláin")}
    rule = replace(RULE, forget=apart, remain={"artist": {"not": apart["artist"]}, "source": "oneill"})
    pd.testing.assert_frame_equal(
        make_split(catalogue, rule), make_split(catalogue, replace(RULE, forget={"artist": "Ó Cearbhalláin"}))
    )


@pytest.mark.parametrize("column", ["set", "part", "chosen"])
def test_a_column_of_the_users_may_have_any_name(catalogue, column):
    catalogue[column] = catalogue["source"].map({"oneill": "train", "ryan": "test"})
    rule = replace(RULE, remain={column: "train", "artist": "traditional"}, utility={column: "test"})
    pd.testing.assert_frame_equal(make_split(catalogue, rule), make_split(catalogue, RULE))
    assert moved_clips(catalogue, rule).empty


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"forget": {"composer": "X"}},
            "config: split.forget: the catalogue has no column 'composer'; it has clip_id,",
        ),
        (
            {"forget": {"artist": "X"}},
            "config: split.forget.artist: no clip matches 'X'; the catalogue has: traditional",
        ),
        (
            {"forget": {"artist": ["Carolan", "tradtional"]}},  # else it would stay in remain, and nobody would know
            "config: split.forget.artist: no clip matches 'tradtional'; the catalogue has: traditional",
        ),
        (
            {"remain": {"source": "oneill"}},
            "config: split.forget overlaps split.remain in 80 clips .first: Carolan00-0",
        ),
        ({"utility": {"artist": "traditional"}}, "config: split.remain overlaps split.utility in 60 clips"),
        ({"holdout": 0.0}, "config: split: holdout has 0 test clips and the metrics and generate keys need 8"),
        ({"holdout": 0.95}, "config: split: forget has 4 test clips"),
        ({"dev": 0.0}, "config: split.dev: leaves forget without a dev clip"),
        ({"rehearse": 0.0}, "config: split.rehearse: leaves remain without a train clip"),
    ],
)
def test_a_rule_that_cannot_be_kept_is_an_error_that_names_the_key(catalogue, change, message):
    with pytest.raises(UserError, match=message) as caught:
        make_split(catalogue, replace(RULE, **change))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("asked", [30, 31])
def test_clips_that_later_stages_ask_for_must_be_there(catalogue, asked):
    """Utility has 30 test clips."""
    if asked == 30:
        assert len(clip_ids(make_split(catalogue, RULE, {"utility": 30}), ["utility"], ["test"])) == 30
    else:
        with pytest.raises(UserError, match=r"utility has 30 test clips .* need 31; .* lower generate\.prompts"):
            make_split(catalogue, RULE, {"utility": 31})


def test_clip_ids_are_those_of_sets_and_parts_in_order(catalogue):
    split = make_split(catalogue, RULE)
    parts = [clip_ids(split, ["remain"], [part]) for part in ("train", "dev", "test")]
    assert sorted(itertools.chain(*parts)) == clip_ids(split, ["remain"])
    assert clip_ids(split, SETS) == list(split["clip_id"])


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda split: split.assign(set=["keep", *split["set"][1:]]), "unknown set 'keep'"),
        (lambda split: pd.concat([split, split.iloc[[3]]]), "clip_id .* is in two places"),
        (lambda split: split.assign(part=["other", *split["part"][1:]]), "work_id Carolan00 is in two places"),
    ],
)
def test_a_split_file_that_breaks_its_promises_is_refused(catalogue, break_it, message):
    split = break_it(make_split(catalogue, RULE))
    with pytest.raises(UserError, match=rf"split\.parquet: {message}"):
        clip_ids(split, ["forget"])


def test_a_selector_may_say_what_it_is_not(catalogue):
    others = {"source": {"not": "ryan"}, "artist": {"not": ["Carolan", "nobody"]}}
    pd.testing.assert_frame_equal(make_split(catalogue, replace(RULE, remain=others)), make_split(catalogue, RULE))


def test_a_near_duplicate_of_a_forget_clip_goes_with_it_and_is_named(catalogue):
    assert moved_clips(catalogue, RULE).empty
    copies = catalogue["work_id"].isin(["traditional03", "ryan05"])
    catalogue.loc[copies, "group"] = "Carolan07"
    moved = moved_clips(catalogue, RULE)
    assert moved.to_numpy().tolist() == [
        ["ryan05-0", "ryan05", "utility", "forget"],
        ["ryan05-1", "ryan05", "utility", "forget"],
        ["traditional03-0", "traditional03", "remain", "forget"],
        ["traditional03-1", "traditional03", "remain", "forget"],
    ]
    split = make_split(catalogue, RULE).set_index("work_id")
    places = split.loc[["Carolan07", "traditional03", "ryan05"], ["set", "part"]].drop_duplicates()
    assert len(places) == 1
    assert places["set"].iloc[0] in ("forget", "holdout")
