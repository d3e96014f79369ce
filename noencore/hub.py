"""Released packages on disk: finding them, in a directory or in an offline hub cache, and reading their files.

audiocraft's exported format is a directory of two files that `torch.save` made, `state_dict.bin` (the language model)
and `compression_state_dict.bin` (the codec). Each holds tensors (`best_state`), the text of a config (`xp.cfg`) and a
few strings, or, for the codec, the name of one in the hub (`pretrained`). Nothing here asks the network.

References: audiocraft 1.3.0 `utils/export.py`, `models/loaders.py`.
"""

import re
import zipfile
from pathlib import Path
from textwrap import shorten

from noencore.errors import UserError

MODEL_FILE, CODEC_FILE = "state_dict.bin", "compression_state_dict.bin"
AGAIN = "download or export the package again"
MOST_NODES = 100_000  # of a config: those of MusicGen have hundreds


def find_package(package, hub=None):
    """The directory of a released package.

    package: that directory (a snapshot in a hub cache is one), a repository's folder in a hub cache
    (`.../models--facebook--musicgen-small`), or the name of a repository (`facebook/musicgen-small`), looked up in
    the cache `hub` (default: huggingface_hub's own). Raises UserError where there is no package.
    """
    path = Path(package)
    if path.is_dir() and path.name.startswith("models--"):
        package, hub = path.name.removeprefix("models--").replace("--", "/"), path.parent
    elif path.is_dir():
        if not (path / MODEL_FILE).exists():
            raise UserError(f"{path}: holds no {MODEL_FILE}; give the directory of a package that audiocraft exported")
        return path
    elif not re.fullmatch(r"\w[\w.-]*/[\w.-]+", str(package)):
        raise UserError(f"{path}: no such directory; give that of a released package, or a name like owner/model")
    return find_in_hub(str(package), MODEL_FILE, hub).parent


def find_in_hub(repository, filename, hub=None):
    """The path of a file of a repository in the hub cache, without a network.

    Raises UserError, naming what to fetch, where the cache does not hold it.
    """
    from huggingface_hub import constants, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(repository, filename, cache_dir=hub)
    except HFValidationError:
        found = None
    if not isinstance(found, str):
        raise UserError(
            f"{repository}: no {filename} in the hub cache {hub or constants.HF_HUB_CACHE}; "
            f"run `hf download {repository}` where there is internet, or set HF_HOME to the cache that has it"
        )
    return Path(found)


def load_pretrained(kind, repository, hub=None, **options):
    """An object of a class of transformers, `kind`, from a repository in the hub cache, or the Path of its directory.

    Raises UserError, naming what to fetch, where it is not there whole.
    """
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    is_directory = isinstance(repository, Path)
    directory = repository if is_directory else find_in_hub(repository, "config.json", hub).parent
    try:
        return kind.from_pretrained(directory, local_files_only=True, **options)
    except Exception as error:  # the readers of json, safetensors and sentencepiece have their own errors
        reason = _first_line(error)
        cure = "fetch its files again" if is_directory else f"run `hf download {repository}` again"
        raise UserError(f"{directory}: damaged or not whole ({reason}); {cure}") from None


def load_weights(kind, repository, hub=None):
    """A model of a class of transformers in fp32. Arguments and errors as those of `load_pretrained`."""
    import torch

    options = {"dtype": torch.float32, "output_loading_info": True}
    model, report = load_pretrained(kind, repository, hub, **options)
    if report["missing_keys"]:  # transformers would go on with random ones
        missing = sorted(report["missing_keys"])
        raise UserError(f"{repository}: its weights lack {missing[0]} and {len(missing) - 1} others; fetch another")
    return model.eval()


def read_package(path):
    """The dict in one of a package's files. Its tensors may lie in a mapped file: copy what is kept.

    Nothing but tensors and plain values is unpickled. Raises UserError where the file is missing, damaged or foreign.
    """
    import torch

    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: missing; {AGAIN}")
    pickles_in(path)
    try:
        package = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # damaged bytes make torch.load raise about anything
        reason = _first_line(error)
        raise UserError(f"{path}: not tensors and text, as a released package is ({reason}); {AGAIN}") from None
    if not isinstance(package, dict):
        raise UserError(f"{path}: holds a {type(package).__name__}, not the dict of a released package; {AGAIN}")
    return package


def pickles_in(path):
    """The bytes of the pickles in a file that `torch.save` made, not unpickled; none in its format before torch 1.6.

    Raises UserError where the zip is damaged, or packed: torch.save packs nothing, and a small file could unpack to
    more than there is memory.
    """
    if not zipfile.is_zipfile(path):
        return []
    try:
        with zipfile.ZipFile(path) as file:
            if all(entry.compress_type == zipfile.ZIP_STORED for entry in file.infolist()):
                return [file.read(name) for name in file.namelist() if name.endswith("/data.pkl")]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
        raise UserError(f"{path}: not tensors and text, as a released package is ({error}); {AGAIN}") from None
    raise UserError(f"{path}: a packed archive, and no released package is one; {AGAIN}")


def read_state(path, package):
    """`best_state` of a package's file: dict of tensors by name. Raises UserError where there is none."""
    import torch

    state = package.get("best_state")
    if not isinstance(state, dict) or not state or not all(isinstance(x, torch.Tensor) for x in state.values()):
        raise UserError(f"{path}: its best_state is no dict of tensors; {AGAIN}")
    return state


def read_config(path, package):
    """`xp.cfg` of a package's file as an OmegaConf mapping. Raises UserError where there is none."""
    from omegaconf import DictConfig, OmegaConf

    text = package.get("xp.cfg")
    try:
        config = OmegaConf.create(text) if isinstance(text, str) and _nodes(text) <= MOST_NODES else None
    except Exception:  # the parsers of YAML and of OmegaConf have their own errors
        config = None
    if not isinstance(config, DictConfig):
        raise UserError(f"{path}: its xp.cfg is not the YAML text of a config; {AGAIN}")
    return config


def _nodes(text):
    """How many nodes a YAML text has when its aliases are written out, of which a few lines may make billions."""
    import yaml

    counts = {}

    def count(node):
        if id(node) not in counts:
            inner = node.value if isinstance(node, yaml.CollectionNode) else ()
            counts[id(node)] = 1 + sum(
                count(one) for item in inner for one in (item if type(item) is tuple else (item,))
            )
        return counts[id(node)]

    return count(yaml.compose(text, Loader=yaml.SafeLoader))


def _first_line(error):
    return shorten((str(error).strip() or type(error).__name__).splitlines()[0], 120)
