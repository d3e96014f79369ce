"""Weights of released models: which files, how large, with what sha256, and where they come from.

    weights/<model>/<file>

A file is taken only with the bytes that this table knows, where it knows them. Whoever has other weights for one of
these networks (a fine-tuned one, a smaller one) says so with a file SHA256SUMS beside them, as
`sha256sum * > SHA256SUMS` writes it: its sums then replace the table's. Results carry the sha256 of the weights that
made them, so none are taken for another's.

Sizes and sums were read where others had recorded them, two or more for each sum; where nobody had, `size` is None and
`sha256` empty, and they are not checked. The sha256 of VGGish begins with the eight digits in its file's name, as torch
hub asks.
"""

import re
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import shorten

from noencore.errors import UserError
from noencore.files import sha256

DECLARED = "SHA256SUMS"
HUB, GITHUB = "https://huggingface.co", "https://github.com"


@dataclass(frozen=True)
class WeightFile:
    """A file of a model: its name, its size in bytes (None: not known), its sha256 ("": not known) and its url."""

    name: str
    size: int | None
    sha256: str
    url: str


CLAP = WeightFile(
    "music_audioset_epoch_15_esc_90.14.pt",
    2_352_471_003,
    "fae3e9c087f2909c28a09dc31c8dfcdacbc42ba44c70e972b58c1bd1caf6dedd",
    f"{HUB}/lukewys/laion_clap/resolve/main/music_audioset_epoch_15_esc_90.14.pt",
)
ROBERTA_VOCABULARY = WeightFile(
    "vocab.json",
    898_823,
    "9e7f63c2d15d666b52e21d250d2e513b87c9b713cfa6987a82ed89e5e6e50655",
    f"{HUB}/FacebookAI/roberta-base/resolve/main/vocab.json",
)
ROBERTA_MERGES = WeightFile(
    "merges.txt",
    456_318,
    "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
    f"{HUB}/FacebookAI/roberta-base/resolve/main/merges.txt",
)
VGGISH = WeightFile(
    "vggish-10086976.pth",
    None,
    "10086976245803799d9194e9a73d9b6c1549c71d1b80106f5cade5608a561f4b",
    f"{GITHUB}/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth",
)
PASST = WeightFile(
    "passt-s-f128-p16-s10-ap.476-swa.pt",
    344_665_734,
    "302903fa8c4aee817b11dc982da0b29aaf8d11a3e722420476d0a12c9db70c2c",
    f"{GITHUB}/kkoutini/PaSST/releases/download/v0.0.1-audioset/passt-s-f128-p16-s10-ap.476-swa.pt",
)
ENCODEC_CONFIG, ENCODEC = (
    WeightFile(name, None, "", f"{HUB}/facebook/encodec_32khz/resolve/main/{name}")
    for name in ("config.json", "model.safetensors")
)
WEIGHTS = {
    "encodec": (ENCODEC_CONFIG, ENCODEC),
    "vggish": (VGGISH,),
    "laion_clap": (CLAP, ROBERTA_VOCABULARY, ROBERTA_MERGES),
    "passt": (PASST,),
}


def expected_files(model, weights):
    """The files of `model` as they must lie in `weights`/`model`: tuple of WeightFile, none for an unknown model.

    Raises UserError where there is a SHA256SUMS that cannot be read or leaves a file out.
    """
    files, sums = WEIGHTS.get(model, ()), Path(weights or "weights", model, DECLARED)
    if not files or not sums.exists():
        return files
    lines = sums.read_text(errors="replace").splitlines()
    parsed = [re.fullmatch(r"([0-9a-f]{64}) [ *](.+)", line) for line in lines if line.strip()]
    declared = {match[2]: match[1] for match in parsed if match}
    if not all(parsed) or not all(file.name in declared for file in files):
        names = ", ".join(file.name for file in files)
        raise UserError(f"{sums}: needs one line `sha256  name` for each of {names}; run `sha256sum * > {DECLARED}`")
    return tuple(replace(file, size=None, sha256=declared[file.name]) for file in files)


def missing(model, weights):
    """What a run with `model` lacks in `weights`/`model`: a line for each file that is absent or of another size.

    Nothing is read but names and sizes. A line names the file, what is wrong and the cure.
    """
    return [line for file in expected_files(model, weights) if (line := _wrong(_place(model, file, weights), file))]


def verified_file(model, file, weights):
    """Path and sha256 of a file of `model`, a WeightFile of `WEIGHTS`, after a look at all of its bytes.

    Raises UserError, naming file, cause and cure, where it is absent, of another size or of another sha256.
    """
    file = next(other for other in expected_files(model, weights) if other.name == file.name)
    path = _place(model, file, weights)
    if line := _wrong(path, file):
        raise UserError(line)
    found = sha256(path)
    if file.sha256 and found != file.sha256:
        raise UserError(f"{path}: sha256 {found[:8]}..., not {file.sha256[:8]}...; {_cure(file)}")
    return path, found


def read_checkpoint(path, file):
    """The dict in a file that `torch.save` made. Nothing is unpickled but tensors, plain values and numpy's scalars.

    The scalars are in CLAP's checkpoint, beside the state of its optimizer. Tensors of a file in torch's zip format
    are mapped, not read. Raises UserError where the file is damaged or foreign.
    """
    import numpy as np
    import torch

    scalar = np._core.multiarray.scalar
    named = [scalar, (scalar, "numpy.core.multiarray.scalar")]  # the second is its name in files of numpy 1
    plain = [*named, np.dtype, np.dtypes.Float64DType, np.dtypes.Float32DType, np.dtypes.Int64DType]
    try:
        with torch.serialization.safe_globals(plain):
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # damaged bytes make torch.load raise about anything
        raise UserError(f"{path}: not a checkpoint of tensors ({_reason(error)}); {_cure(file)}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds a {type(content).__name__}, not the dict of a checkpoint; {_cure(file)}")
    return content


@contextmanager
def wrong_checkpoint(path, file):
    """Turn what goes wrong when a checkpoint's tensors are put into a network into a UserError that names `path`."""
    try:
        yield
    except (KeyError, IndexError, AttributeError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{path}: not the weights of this network ({_reason(error)}); {_cure(file)}") from None


def _place(model, file, weights):
    return Path(weights or "weights", model, file.name)


def _wrong(path, file):
    """One line on a file that is absent or of another size, or None."""
    if not path.is_file():
        return f"{path}: missing; {_cure(file)}"
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        return f"{path}: {size:,} bytes instead of {file.size:,}; {_cure(file)}"
    return None


def _cure(file):
    size = f" ({file.size / 1e6:,.1f} MB)" if file.size else ""
    return f"fetch it from {file.url}{size}, or list your own weights in a {DECLARED} beside it"


def _reason(error):
    """What an error says, without the line that only announces it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    announced = len(lines) > 1 and lines[0].startswith("Error(s) in loading state_dict")
    text = f"no {lines[0]}" if isinstance(error, KeyError) else lines[announced]
    return shorten(text, 120, placeholder="...")
