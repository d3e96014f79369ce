"""Weights and tokenizers that a run needs from elsewhere: what is missing, and bringing it to the directory `weights`.

    weights/hub/models--<owner>--<name>/...   a hub cache: the package, its T5, the EnCodec that it names
    weights/<model>/<file>                    the models of metrics (noencore.embeddings.weights)

Fetching is for the host that has internet; every other job is offline. The hub names large files by their sha256, and
the table of weights has the others' where they are known: bytes that do not fit are not kept.
"""

import errno
import http.client
import re
import shutil
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from noencore.base import T5_FILES, find_base, in_hub, needed_repositories
from noencore.embeddings.weights import expected_files
from noencore.errors import UserError
from noencore.experiment import released_models
from noencore.files import sha256
from noencore.hub import CODEC_FILE, MODEL_FILE

BLOCK = 1 << 20
OFFICIAL_T5 = "t5-base"
GB = 1e9
ABOUT = {  # bytes of files whose exact size is not recorded: their parameters times the bytes of one
    ("facebook/musicgen-small", MODEL_FILE): 0.84 * GB,
    ("facebook/musicgen-medium", MODEL_FILE): 3.7 * GB,
    ("facebook/musicgen-large", MODEL_FILE): 6.5 * GB,
    **{(f"facebook/musicgen-{size}", CODEC_FILE): 0.24 * GB for size in ("small", "medium", "large")},
    ("facebook/encodec_32khz", "model.safetensors"): 0.24 * GB,
    ("encodec", "model.safetensors"): 0.24 * GB,
    (OFFICIAL_T5, "model.safetensors"): 0.89 * GB,
    ("vggish", "vggish-10086976.pth"): 0.29 * GB,
}
OFFICIAL = {"small": (1024, 24, 16), "medium": (1536, 48, 24), "large": (2048, 48, 32)}  # dim, layers, heads
OWN = {"card": 256, "n_q": 4, "text_dim": 384}  # what our own codec and text encoder give a model


@dataclass(frozen=True)
class Missing:
    """A file that is not there. owner: repository or model; place: where it goes; size: bytes, None where not known;
    exact: whether the size is recorded and not an estimate."""

    owner: str
    file: str
    place: Path
    size: float | None
    exact: bool


def missing_files(config):
    """What a config needs and `weights` does not hold: list of Missing.

    Before the package is there its T5 is taken to be that of the official ones.
    """
    found, base = [], find_base(config)
    if base is not None:
        needed = needed_repositories(config["model"]["init"], base)
        if not base.weights.exists():
            needed[OFFICIAL_T5] = T5_FILES
        for repository, files in needed.items():
            for file in files:
                if not in_hub(repository, file, base.hub):
                    found.append(Missing(repository, file, base.hub, ABOUT.get((repository, file)), False))
    for model, file in _missing_weights(config):
        place, size = Path(config["weights"], model), file.size or ABOUT.get((model, file.name))
        found.append(Missing(model, file.name, place, size, file.size is not None))
    return found


def fetch_missing(config, say):
    """Bring what `missing_files` names. say: a function that is told, in a line, what comes next.

    Raises UserError where something cannot be had; what came by then stays, and half a file is gone on with.
    """
    fetched = set()
    while base := find_base(config):
        needed = needed_repositories(config["model"]["init"], base)
        absent = {
            repository: files
            for repository, files in needed.items()
            if repository not in fetched and not all(in_hub(repository, file, base.hub) for file in files)
        }
        if not absent:
            break
        for repository, files in absent.items():  # and what the package names is known when it has come
            say(f"{repository}: {', '.join(files)} to {base.hub}")
            fetch_repository(repository, files, base.hub)
            fetched.add(repository)
    for model, file in _missing_weights(config):
        say(f"{file.url} to {Path(config['weights'], model)}")
        fetch_file(file, Path(config["weights"], model, file.name))


def fetch_repository(repository, files, hub):
    """Bring some files of a repository of the hub into the cache `hub`. Raises UserError where that fails."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        snapshot_download(repository, allow_patterns=list(files), cache_dir=hub)
    except Exception as error:  # its own, the HTTP client's and the system's
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
        unknown = isinstance(error, RepositoryNotFoundError)  # or closed to whoever asks
        cure = "correct the name, or run `hf auth login` where it is not public" if unknown else _cure(error)
        raise UserError(f"{repository}: cannot be fetched ({reason}); {cure}") from None
    for file in files:
        path = in_hub(repository, file, hub)
        if path is None:
            raise UserError(f"{repository}: has no {file}; take another model")
        blob = Path(path).resolve()
        if re.fullmatch("[0-9a-f]{64}", blob.name) and sha256(blob) != blob.name:
            blob.unlink()
            raise UserError(f"{repository}: {file} came damaged, its sha256 is not {blob.name[:8]}...; run it again")


def fetch_file(file, place):
    """Bring a WeightFile to the path `place` by http(s); half a file from an earlier try is gone on with.

    Raises UserError where it cannot be had whole, or is not the file that is expected.
    """
    place = Path(place)
    part = place.with_name(f".{place.name}.part")
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        _download(file.url, part)
    except (OSError, http.client.HTTPException) as error:
        raise UserError(f"{file.url}: cannot be fetched ({error}); {_cure(error)}") from None
    found = sha256(part)
    if (file.size not in (None, part.stat().st_size)) or (file.sha256 and found != file.sha256):
        part.unlink()
        raise UserError(f"{file.url}: sha256 {found[:8]}..., not {file.sha256[:8]}...; what came is no {file.name}")
    part.rename(place)


def _cure(error):
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
    return "make room and run it again" if full else "run it again where there is internet"


def _download(url, part):
    done = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "noencore"} | ({"Range": f"bytes={done}-"} if done else {})
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as answer:
            goes_on = answer.status == 206
            with part.open("ab" if goes_on else "wb") as out:
                while block := answer.read1(BLOCK):  # what comes is kept, also where the rest does not
                    out.write(block)
            expected = answer.headers.get("Content-Length")
            have = part.stat().st_size - (done if goes_on else 0)
            if expected and have < int(expected):
                raise OSError(f"it broke off after {have:,} of {int(expected):,} bytes")
    except urllib.error.HTTPError as error:
        if error.code != 416:  # nothing is left to be sent: it had come whole
            raise


def _missing_weights(config):
    """(model, WeightFile) of the models of metrics that are not there in their size."""
    names = sorted({name for family in config["metrics"] for name in released_models(config, family)})
    for model in names:
        for file in expected_files(model, config["weights"]):
            path = Path(config["weights"], model, file.name)
            if not path.is_file() or file.size not in (None, path.stat().st_size):
                yield model, file


def describe(config):
    """Lines that say what a run needs before anything starts: what is missing, and the memory of the largest job."""
    from noencore.memory import largest_job

    missing = missing_files(config)
    lines = [_line(one) for one in missing]
    if missing:
        known = sum(one.size or 0 for one in missing)
        place = Path(config["weights"])
        free = shutil.disk_usage(next(path for path in (place, *place.absolute().parents) if path.exists())).free
        unknown = sum(one.size is None and not _is_small(one) for one in missing)
        more = f", and {unknown} whose size is not known" if unknown else " in all"
        head = f"missing: {len(missing)} files, {known / GB:.1f} GB or so{more} ({free / GB:,.0f} GB are free)"
        lines = [head, *lines, "`snakemake fetch` with this config brings them, on a host with internet"]
    else:
        lines = [f"missing: nothing; all that comes from elsewhere is in {config['weights']}"]
    name, size = largest_job(config, model_of(config))
    base = find_base(config)
    guessed = base is not None and not base.weights.exists() and _official(config) is None
    lines += [
        f"largest job: {name}, {size / GB:.2g} GB of GPU memory by estimate, and what CUDA takes for itself",
        *(["(of a package that is not there: were it as large as musicgen-large; ask again when it is)"] * guessed),
        "(less with training.checkpoint_activations, a recipe's accumulate, smaller batches or scope: lora)",
    ]
    return lines


def _line(one):
    size = "?" if one.size is None else f"{'' if one.exact else 'about '}{one.size / 1e6:,.0f} MB"
    return f"  {one.owner}: {one.file} ({'small' if _is_small(one) else size}) -> {one.place}"


def _is_small(one):
    return one.size is None and not one.file.endswith((".bin", ".safetensors", ".pt", ".pth"))


def model_of(config):
    """The ModelConfig of an experiment.

    Of a package that is not there yet it is that of the official one of its name, else that of the largest.
    """
    from noencore.musicgen.model import ModelConfig

    base = find_base(config)
    if base is None:
        sizes = {key: size for key, size in config["model"].items() if key != "init"}
        return ModelConfig(**sizes, **OWN)
    if base.weights.exists():
        from noencore.musicgen.released import released_config

        return released_config(base.package)
    dim, layers, heads = _official(config) or OFFICIAL["large"]
    return ModelConfig(dim, layers, heads, card=2048, n_q=4, text_dim=768)


def _official(config):
    """Sizes of the official package that ends as the config's does, None where there is none."""
    return OFFICIAL.get(config["model"]["init"].rpartition("-")[2])
