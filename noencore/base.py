"""The released package that an experiment's models start from, with its codec and its text encoder: where they lie.

`model.init` is the package's directory, or the name of a repository that `snakemake fetch` brought into the hub cache
below `weights`. Jobs are given paths and names, and what is in the files by their sha256.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from noencore.errors import UserError
from noencore.experiment import is_released
from noencore.files import sha256
from noencore.hub import AGAIN, CODEC_FILE, MODEL_FILE, find_in_hub, find_package, pickles_in, read_package

T5_FILES = ("config.json", "model.safetensors", "spiece.model")
ENCODEC_FILES = ("config.json", "model.safetensors")


@dataclass(frozen=True)
class Base:
    """A released package. package: its directory; hub: the cache that holds what it names."""

    package: Path
    hub: Path

    @property
    def weights(self):
        return self.package / MODEL_FILE

    @property
    def codec(self):
        return self.package / CODEC_FILE

    def place(self):
        """What a job needs to open the package's codec: dict package, hub."""
        return {"package": str(self.package), "hub": str(self.hub)}

    def encoders(self):
        """What a job needs to open codec and text encoder: `place` with codebooks, t5 (its name) and t5_sha256."""
        return _encoders(self)

    @property
    def t5(self):
        """The name of the package's T5 in the hub."""
        from noencore.musicgen.released import text_encoder_name

        return text_encoder_name(self.package)

    def codec_sha256(self):
        """The sha256 of the codec's file, and where it only names an EnCodec in the hub, of that one's weights.

        Of what is there: `fetch` and `preflight` are asked before the files have come.
        """
        if not self.codec.exists():
            return ""
        name = pointed_codec(self.codec)
        found = name and in_hub(name, "model.safetensors", self.hub)
        return " ".join(content_sha256(path) for path in (self.codec, found) if path)


@cache  # asked for every shard, and to read a package takes a seventh of a second
def _encoders(base):
    from noencore.musicgen.released import released_config

    files = [content_sha256(find_in_hub(base.t5, name, base.hub)) for name in T5_FILES]
    codebooks = released_config(base.package).n_q
    return {**base.place(), "codebooks": codebooks, "t5": base.t5, "t5_sha256": files}


def find_base(config):
    """The Base of an experiment, whether its files are there or not; None where its models are made from nothing.

    Raises UserError where `model.init` can be no package, or is a directory without a codec.
    """
    if not is_released(config):
        return None
    name, hub = config["model"]["init"], Path(config["weights"], "hub")
    if Path(name).is_dir():
        base = Base(find_package(name, hub), hub)
        if not base.codec.exists():
            raise UserError(f"config: model.init: {base.codec}: missing; {AGAIN}")
        return base
    if not re.fullmatch(r"\w[\w.-]*/[\w.-]+", name):
        raise UserError(f"config: model.init: no directory {name}; give that of a released package, or owner/model")
    found = in_hub(name, MODEL_FILE, hub)
    return Base(found.parent if found else hub / name, hub)


def check_base(name, base):
    """Raise UserError where a file of a Base, or of what it names, is not there, or the package is of another kind."""
    from noencore.musicgen.released import released_config

    for repository, files in needed_repositories(name, base).items():
        for file in files:
            if not in_hub(repository, file, base.hub):
                cure = "run `snakemake fetch` with this config where there is internet"
                raise UserError(f"config: model.init: {repository}: no {file} in {base.hub}; {cure}")
    released_config(base.package)


def needed_repositories(name, base):
    """What has to be in the hub cache: dict repository -> files.

    The package `name` itself unless it is a directory of the user's, the T5 that it was trained with, and the EnCodec
    that its codec file may stand for. The latter two are known when the package is there.
    """
    needed = {} if Path(name).is_dir() else {name: (MODEL_FILE, CODEC_FILE)}
    if base.weights.exists():
        needed[base.t5] = T5_FILES
    if base.codec.exists() and (pointed := pointed_codec(base.codec)):
        needed[pointed] = ENCODEC_FILES
    return needed


@cache
def pointed_codec(path):
    """The name of the EnCodec that a package's codec file stands for, None where it holds one."""
    pickles = pickles_in(path)  # a look at the names of its fields, before torch is imported for it
    if pickles and not any(b"pretrained" in pickle for pickle in pickles):
        return None
    return read_package(path).get("pretrained")


@cache
def content_sha256(path):
    """The sha256 of a file. A file of the hub cache that is named by it is not read again."""
    real = Path(path).resolve()
    if real.parent.name == "blobs" and re.fullmatch("[0-9a-f]{64}", real.name):
        return real.name
    return sha256(real)


def in_hub(repository, file, hub):
    """The path of a file of a repository in the hub cache, None where it is not there."""
    try:
        return find_in_hub(repository, file, hub)
    except UserError:
        return None
