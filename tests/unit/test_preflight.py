"""The pre-flight finds what a job would, before Snakemake deletes anything for it."""

import subprocess
import sys

import pandas as pd
import pytest

from noencore.errors import UserError
from noencore.files import write_parquet
from noencore.preflight import check_split_rule, missing_status, missing_weights

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


def config_with(weights, **keys):
    """A config whose metrics are computed from VGGish, CLAP and musicnn."""
    config = {"metrics": ["quality", "text_audio", "copying"], "embeddings": ["musicnn", "vggish"]}
    config |= {"text_audio": "laion_clap", "copying": {"embedding": "musicnn"}, "weights": str(weights)}
    return {**config, **keys}


def test_missing_weights_are_named_with_size_sha256_and_place(tmp_path):
    found = missing_weights(config_with(tmp_path))
    assert list(found) == ["laion_clap", "vggish"]
    assert len(found["laion_clap"]) == 3
    line = found["laion_clap"][0]
    assert line.startswith(
        f"{tmp_path}/laion_clap/music_audioset_epoch_15_esc_90.14.pt: missing; fetch it from https://"
    )
    assert "2,352.5 MB" in line
    assert "sha256 fae3e9c087f2909c28a09dc31c8dfcdacbc42ba44c70e972b58c1bd1caf6dedd" in line
    assert missing_status(found["vggish"]) == f"no weights: {tmp_path}/vggish/vggish-10086976.pth"


def test_only_what_the_metrics_read_is_asked_for(tmp_path):
    assert list(missing_weights(config_with(tmp_path, metrics=["quality"]))) == ["vggish"]
    assert missing_weights(config_with(tmp_path, metrics=["copying", "likelihood"])) == {}
    assert missing_weights(config_with(tmp_path, embeddings=["musicnn", "codec"], text_audio="tagtext")) == {}


def test_a_file_that_appears_is_not_missing_any_more(tmp_path):
    (tmp_path / "vggish").mkdir()
    (tmp_path / "vggish" / "vggish-10086976.pth").write_bytes(b"weights")
    assert list(missing_weights(config_with(tmp_path))) == ["laion_clap"]


def test_the_look_at_weights_takes_no_torch(tmp_path):
    code = "import sys; from noencore.preflight import missing_weights; missing_weights(eval(sys.argv[1]))"
    code += "; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, repr(config_with(tmp_path))], check=False)
    assert done.returncode == 0
