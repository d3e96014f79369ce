"""The pre-flight finds what a job would, before Snakemake deletes anything for it."""

import pandas as pd
import pytest

from noencore.errors import UserError
from noencore.files import write_parquet
from noencore.preflight import check_split_rule

RULE = {
    "forget": {"artist": "a"},
    "remain": {"artist": "b"},
    "utility": {"artist": "c"},
    **{"holdout": 0.4, "dev": 0.2, "rehearse": 0.3, "seed": 0},
}


@pytest.fixture
def catalogue(tmp_path):
    """The path of a catalogue of 60 works by each of a, b and c, made with the spec "this"."""
    rows = [
        dict.fromkeys(("clip_id", "work_id", "group"), f"{artist}{i}") | {"artist": artist, "status": "ok"}
        for artist in "abc"
        for i in range(60)
    ]
    frame = pd.DataFrame(rows)
    frame.attrs["spec"] = "this"
    write_parquet(frame, tmp_path / "catalogue.parquet")
    return tmp_path / "catalogue.parquet"


def test_a_split_that_can_be_made_passes(catalogue):
    check_split_rule(catalogue, "this", {"rule": RULE, "needed": {"forget": 10}})


def test_a_split_that_cannot_be_made_is_refused(catalogue):
    with pytest.raises(UserError, match=r"split\.forget\.artist: no clip matches 'nobody'"):
        check_split_rule(catalogue, "this", {"rule": RULE | {"forget": {"artist": "nobody"}}, "needed": {}})
    with pytest.raises(UserError, match="need 500"):
        check_split_rule(catalogue, "this", {"rule": RULE, "needed": {"forget": 500}})


def test_a_catalogue_of_another_config_says_nothing(catalogue):
    check_split_rule(catalogue, "that", {"rule": RULE, "needed": {"forget": 500}})
    check_split_rule(catalogue.with_name("none.parquet"), "this", {"rule": RULE, "needed": {"forget": 500}})
