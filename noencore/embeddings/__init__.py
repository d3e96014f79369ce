"""Audio embeddings: a window of sound becomes one vector. One file in this room is one model."""

import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from noencore.errors import UserError

MODELS = ("musicnn",)  # each is a module of this package with a function load()


@dataclass(frozen=True)
class EmbeddingModel:
    """An embedding model that is ready to run.

    `embed` maps a mono wave, float32 [n_samples] at `sample_rate` Hz, to float32 [n_windows, dimension], one
    row for each window of `window_s` seconds. The weights are identified by `weights_sha256`.
    """

    name: str
    sample_rate: int
    window_s: float
    dimension: int
    weights_sha256: str
    embed: Callable[[np.ndarray], np.ndarray]


def load_embedding_model(name):
    """Load the embedding model `name`. Raises UserError for an unknown name or for missing weights."""
    if name not in MODELS:
        raise UserError(f"embedding model {name!r}: unknown; choose one of {', '.join(MODELS)}")
    return importlib.import_module(f"noencore.embeddings.{name}").load()


def embed_files(paths, clip_ids, model):
    """Embed audio files, one a clip, and return (tensors, metadata) as embeddings.safetensors holds them.

    tensors: `embeddings` float32 [n_windows, dimension] and `clip` int64 [n_windows], an index into the json
    list metadata["clip_ids"], which keeps the order of `clip_ids`. An id may occur more than once (one clip,
    many seeds). Raises UserError for a file that cannot be read, is empty or holds a value that is not
    finite.
    """
    import torch

    windows = [model.embed(read_mono(path, model.sample_rate)) for path in paths]
    counts = [len(of_one_clip) for of_one_clip in windows]
    tensors = {
        "embeddings": torch.from_numpy(np.concatenate([np.zeros((0, model.dimension), np.float32), *windows])),
        "clip": torch.from_numpy(np.repeat(np.arange(len(counts), dtype=np.int64), counts)),
    }
    metadata = {
        "clip_ids": json.dumps([str(clip_id) for clip_id in clip_ids]),
        "model": model.name,
        "weights_sha256": model.weights_sha256,
        "sample_rate": str(model.sample_rate),
        "window_s": str(model.window_s),
    }
    return tensors, metadata


def read_mono(path, sample_rate):
    """Read an audio file as a mono wave, float32 [n_samples]: mean over channels, resampled by soxr VHQ."""
    import soundfile
    import soxr

    try:
        wave, file_rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise UserError(f"{path}: not readable as audio ({error}); make it again") from None
    wave = wave.mean(axis=1)
    if wave.size == 0 or not np.isfinite(wave).all():
        raise UserError(f"{path}: {'no samples' if wave.size == 0 else 'samples that are not finite'}; make it again")
    return wave if file_rate == sample_rate else soxr.resample(wave, file_rate, sample_rate, quality="VHQ")
