"""Weights from elsewhere: whole and of the right sha256, or not at all; half a file is gone on with."""

import hashlib

import pytest
from hub_site import serve_hub
from huggingface_hub import constants
from websites import Answer, running_site

from noencore.embeddings.weights import WeightFile
from noencore.errors import UserError
from noencore.fetch import describe, fetch_file, fetch_missing, fetch_repository, missing_files

BODY = bytes(range(256)) * 40
SIZE, DIGEST = len(BODY), hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def site():
    with running_site() as running:
        yield running


def wanted(site, *answers, size=SIZE, digest=DIGEST):
    return WeightFile("weights.pt", size, digest, site.serve("/weights.pt", *answers))


def test_a_file_comes_whole(site, tmp_path):
    place = tmp_path / "vggish/weights.pt"
    fetch_file(wanted(site, Answer(BODY)), place)
    assert place.read_bytes() == BODY
    assert [path.name for path in place.parent.iterdir()] == ["weights.pt"]


def test_half_a_file_is_gone_on_with(site, tmp_path):
    file, place = wanted(site, Answer(BODY, dead=4000), Answer(BODY, ranges=True)), tmp_path / "weights.pt"
    with pytest.raises(UserError, match="cannot be fetched"):
        fetch_file(file, place)
    assert not place.exists()
    fetch_file(file, place)
    assert place.read_bytes() == BODY
    assert site.requests[-1][1]["Range"].startswith("bytes=")


def test_a_server_that_knows_no_ranges_begins_again(site, tmp_path):
    file, place = wanted(site, Answer(BODY, dead=4000), Answer(BODY)), tmp_path / "weights.pt"
    with pytest.raises(UserError, match="cannot be fetched"):
        fetch_file(file, place)
    fetch_file(file, place)
    assert place.read_bytes() == BODY


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(BODY[:-1] + b"x"), "what came is no weights.pt"),
        (Answer(b"<html>sign in</html>", "text/html"), "what came is no weights.pt"),
        (Answer(status=404), "HTTP Error 404"),
        (Answer(dead=True), "cannot be fetched"),
        (Answer(BODY, dead=4000), "cannot be fetched"),
    ],
)
def test_what_cannot_be_had_or_is_another_file_is_one_line(site, tmp_path, answer, message):
    with pytest.raises(UserError, match=message) as caught:
        fetch_file(wanted(site, answer), tmp_path / "weights.pt")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "weights.pt").exists()


def test_a_full_disk_asks_for_room_and_not_for_internet(site, tmp_path):
    (tmp_path / ".weights.pt.part").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"No space left on device.*; make room and run it again"):
        fetch_file(wanted(site, Answer(BODY)), tmp_path / "weights.pt")


def test_a_file_without_a_recorded_sum_is_taken_as_it_comes(site, tmp_path):
    fetch_file(wanted(site, Answer(b"anything"), size=None, digest=""), tmp_path / "weights.pt")
    assert (tmp_path / "weights.pt").read_bytes() == b"anything"


def config_of(weights, **keys):
    """A config whose models start from musicgen-small; metrics need VGGish and CLAP."""
    config = {
        "model": {"init": "facebook/musicgen-small"},
        "weights": str(weights),
        "metrics": ["quality", "text_audio"],
    }
    config |= {"embeddings": ["vggish"], "text_audio": "laion_clap", "copying": {"embedding": "codec"}}
    return {**config, **keys}


def test_what_is_missing_is_the_package_its_t5_and_the_models_of_the_metrics(tmp_path):
    found = missing_files(config_of(tmp_path))
    owners = ["facebook/musicgen-small"] * 2 + ["t5-base"] * 3 + ["laion_clap"] * 3 + ["vggish"]
    assert [one.owner for one in found] == owners
    clap = next(one for one in found if one.owner == "laion_clap")
    assert (clap.size, clap.exact, clap.place) == (2_352_471_003, True, tmp_path / "laion_clap")
    assert {one.place for one in found if one.owner != "laion_clap"} == {tmp_path / "hub", tmp_path / "vggish"}


def test_of_a_package_that_is_there_its_own_t5_is_missed(released_home, tmp_path):
    config = config_of(tmp_path, model={"init": str(released_home / "package")}, metrics=["likelihood"])
    assert {one.owner for one in missing_files(config)} == {"t5-base"}
    (tmp_path / "hub").symlink_to(released_home / "hub")
    assert missing_files(config) == []


def test_the_preflight_says_sizes_places_and_memory(tmp_path):
    recipes = {"ga": {"forget": "gradient_ascent", "lr": 1e-5, "steps": 3, "batch": 8}}
    more = {"catalogue": {"clip_seconds": 10.0}, "target": {"train_seeds": []}, "recipes": recipes, "run": ["ga"]}
    more |= {"training": {"checkpoint_activations": False}, "generate": {"batch": 4}, "gold": {"train_seeds": []}}
    text = "\n".join(describe(config_of(tmp_path, **more)))
    assert "laion_clap: music_audioset_epoch_15_esc_90.14.pt (2,352 MB)" in text
    assert "facebook/musicgen-small: state_dict.bin (about 840 MB)" in text
    assert "snakemake fetch" in text
    assert "largest job: unlearn ga, 13 GB" in text
    assert "missing: 9 files, 4.6 GB or so in all (" in text
    of_ann = "\n".join(
        describe(config_of(tmp_path, **more | {"model": {"init": "ann/tuned"}, "metrics": ["likelihood"]}))
    )
    assert "missing: 5 files, 0.9 GB or so, and 2 whose size is not known (" in of_ann
    assert "as large as musicgen-large" in of_ann
    assert "as large as musicgen-large" not in text


@pytest.fixture
def hub_site(site, monkeypatch):
    """The site as the hub that this process asks."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", site.url)
    template = site.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    return site


def served(site, released_home, **said):
    serve_hub(site, "facebook/musicgen-small", released_home / "package", **said)
    serve_hub(site, "t5-base", next((released_home / "hub/models--t5-base/snapshots").iterdir()))


def test_a_package_comes_first_and_then_what_it_names(hub_site, released_home, tmp_path):
    served(hub_site, released_home)
    config, said = config_of(tmp_path, metrics=["likelihood"]), []
    fetch_missing(config, said.append)
    assert [line.partition(":")[0] for line in said] == ["facebook/musicgen-small", "t5-base"]
    assert missing_files(config) == []


def test_a_damaged_file_of_the_hub_is_not_kept(hub_site, released_home, tmp_path):
    served(hub_site, released_home, said={"state_dict.bin": "a" * 64})
    config = config_of(tmp_path, metrics=["likelihood"])
    with pytest.raises(UserError, match=r"state_dict\.bin came damaged, its sha256 is not aaaaaaaa"):
        fetch_missing(config, lambda line: None)
    assert "state_dict.bin" in {one.file for one in missing_files(config)}


@pytest.mark.parametrize(("status", "code"), [(401, "RepoNotFound"), (403, "GatedRepo")])
def test_a_name_that_the_hub_does_not_know_is_to_be_corrected(hub_site, tmp_path, status, code):
    """Not to be asked for where there is internet: it was."""
    said = Answer(b"{}", "application/json", status, {"X-Error-Code": code, "X-Error-Message": "not found"})
    hub_site.serve("/api/models/facebook/musicgen-smal/revision/main", said)
    with pytest.raises(UserError, match=r"smal: cannot be fetched .*; correct the name, or run `hf auth login`"):
        fetch_repository("facebook/musicgen-smal", ["state_dict.bin"], tmp_path)


def test_without_a_hub_it_is_one_line(hub_site, tmp_path):
    with pytest.raises(UserError, match="facebook/musicgen-small: cannot be fetched") as caught:
        fetch_missing(config_of(tmp_path, metrics=["likelihood"]), lambda line: None)
    assert "\n" not in str(caught.value)
