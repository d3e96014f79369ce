"""Audio embeddings: a window of sound becomes one vector. One file in this room is one model."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from noencore.errors import UserError

MODELS = ("musicnn", "codec", "encodec", "vggish", "laion_clap", "passt")  # each a module with a function load()
CLASSIFIERS = ("musicnn", "passt")  # those with logits
TEXT_AUDIO_MODELS = {"tagtext": "musicnn", "laion_clap": "laion_clap"}  # modules with load_text(): their audio side
COLLAPSED = 0.9  # mean cosine of captions of unlike music, from which a text tower tells nothing apart
LANDMARKS = "landmarks"  # fingerprints (noencore.fingerprint) lie beside the embeddings


@dataclass(frozen=True)
class Embedded:
    """The windows of one clip.

    embeddings: float32 [n_windows, dimension]. padded: float32 [n_windows], the share of each window that is padding
    and not sound. logits: float32 [n_windows, classes] of models that know classes, before the sigmoid or softmax.
    """

    embeddings: np.ndarray
    padded: np.ndarray
    logits: np.ndarray | None = None


@dataclass(frozen=True)
class EmbeddingModel:
    """An embedding model that is ready to run.

    `embed` maps a mono wave, float32 [n_samples] at `sample_rate` Hz, at least one sample and all finite, to
    `Embedded`: one row for each window of `window_s` seconds, one every `hop_s` and the last right-aligned
    (`fixed_windows`), the same row whatever else was embedded before. classes: width of the logits, 0 where there are
    none. The weights are identified by `weights_sha256`.
    """

    name: str
    sample_rate: int
    window_s: float
    hop_s: float
    dimension: int
    weights_sha256: str
    embed: Callable[[np.ndarray], Embedded]
    classes: int = 0


@dataclass(frozen=True)
class TextAudioModel:
    """A model that puts captions beside the windows of an embedding model.

    `embed_text` maps a list of n captions to float32 [n, d]. The audio side is a tensor of the file of the embedding
    model `audio`: `side` is "embeddings" or "logits", d wide. standardise: whether both sides must be standardised
    over the clips, dimension by dimension, before their cosine means anything.
    """

    name: str
    audio: str
    side: str
    standardise: bool
    weights_sha256: str
    embed_text: Callable[[list[str]], np.ndarray]


def load_embedding_model(name, weights=None):
    """Load the embedding model `name`.

    weights: the directory that holds a folder of that name with the files of a released model; for `codec` the file
    of our own codec; not read by `musicnn`, whose package holds them. Raises UserError for an unknown name or for
    missing weights.
    """
    return _module(name, MODELS).load(weights)


def load_text_audio_model(name, weights=None):
    """Load the text side of the text-audio model `name`. weights and errors as in `load_embedding_model`."""
    return _module(name, TEXT_AUDIO_MODELS).load_text(weights)


def check_text_tower(vectors, name):
    """Raise UserError where the vectors [n, d] of captions of unlike music have a mean pairwise cosine above 0.9.

    Such checkpoints are in circulation; by them every caption fits every clip.
    """
    unit = np.asarray(vectors, np.float64)
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    n = len(unit)
    mean = float(((unit.sum(axis=0) ** 2).sum() - n) / (n * (n - 1)))
    if mean > COLLAPSED:
        raise UserError(
            f"{name}: its text tower has collapsed, captions of unlike music have a mean cosine of {mean:.3f}; take "
            "another checkpoint"
        )


def _module(name, known):
    if name not in known:
        raise UserError(f"embedding model {name!r}: unknown; choose one of {', '.join(known)}")
    return importlib.import_module(f"noencore.embeddings.{name}")


def fixed_windows(wave, window, hop):
    """Cut a wave [n_samples] into windows: float32 [n_windows, window], and the padded share of each, [n_windows].

    A window every `hop` samples, and the last one right-aligned, so that every sample is in one and none is made up.
    A wave shorter than one window is one window, padded with zeros.
    """
    if len(wave) < window:
        padded = np.pad(np.asarray(wave, np.float32), (0, window - len(wave)))[None]
        return padded, np.array([1 - len(wave) / window], np.float32)
    last = len(wave) - window
    starts = [*range(0, last, hop), last]
    windows = np.stack([wave[start : start + window] for start in starts]).astype(np.float32, copy=False)
    return windows, np.zeros(len(starts), np.float32)
