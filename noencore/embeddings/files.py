"""Audio files through embedding models and the fingerprint: one pass over the files, each sound computed once."""

import hashlib
import io
import json
import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from noencore.embeddings import LANDMARKS, load_embedding_model
from noencore.embeddings.store import Store
from noencore.errors import UserError
from noencore.fingerprint import SAMPLE_RATE, fingerprint, landmark_tensors
from noencore.split import check_split

OK, UNREADABLE, EMPTY, NONFINITE = "ok", "unreadable", "empty", "nonfinite"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Feature:
    """What is computed from a sound: `compute` maps a mono wave at `sample_rate` Hz to an array [n, columns].

    pack: (arrays, one a clip, and metadata) -> (tensors, metadata) of the file. key: text that names what the values
    depend on besides the sound.
    """

    name: str
    sample_rate: int
    columns: int
    dtype: type
    compute: Callable[[np.ndarray], np.ndarray]
    pack: Callable
    key: str


def load_features(names, weights, codec, codes):
    """The Features of some names, embedding models or "landmarks", ready to run.

    weights: directory of the released models' files. codec: file of our own codec. codes: dict name -> digest of the
    code that computes it. Raises UserError where weights are missing.
    """
    features = []
    for name in names:
        if name == LANDMARKS:
            features.append(landmark_feature(codes[name]))
        else:
            model = load_embedding_model(name, codec if name == "codec" else weights)
            features.append(model_feature(model, codes[name]))
    return features


def landmark_feature(code):
    """The Feature of the fingerprint: a row (hash, time) for each landmark."""

    def compute(wave):
        return np.column_stack(fingerprint(wave)).astype(np.int64)

    def pack(arrays, metadata):
        fingerprints = [(array[:, 0], array[:, 1].astype(np.int32)) for array in arrays]
        tensors, about = landmark_tensors(fingerprints, json.loads(metadata["clip_ids"]))
        return tensors, {**metadata, **about}

    return Feature(LANDMARKS, SAMPLE_RATE, 2, np.int64, compute, pack, f"{LANDMARKS} {code}")


def model_feature(model, code):
    """The Feature of an EmbeddingModel. code: digest of the code that computes it."""

    def compute(wave):
        made = model.embed(wave)
        return np.column_stack([part for part in (made.embeddings, made.padded, made.logits) if part is not None])

    def pack(arrays, metadata):
        import torch

        rows = torch.from_numpy(np.concatenate([np.zeros((0, columns), np.float32), *arrays]))
        tensors = {"embeddings": rows[:, : model.dimension], "padded": rows[:, model.dimension]}
        if model.classes:
            tensors["logits"] = rows[:, model.dimension + 1 :]
        counts = [len(array) for array in arrays]
        tensors["clip"] = torch.from_numpy(np.repeat(np.arange(len(counts), dtype=np.int64), counts))
        about = {
            "model": model.name,
            "weights_sha256": model.weights_sha256,
            "sample_rate": str(model.sample_rate),
            "window_s": str(model.window_s),
            "hop_s": str(model.hop_s),
        }
        return tensors, {**metadata, **about}

    columns = model.dimension + 1 + model.classes
    key = f"{model.name} {model.weights_sha256} {model.sample_rate} {model.window_s} {model.hop_s} {code}"
    return Feature(model.name, model.sample_rate, columns, np.float32, compute, pack, key)


def embed_files(paths, clip_ids, eval_seeds, features, store, progress=iter):
    """Compute features of audio files, one a clip: dict feature name -> (tensors, metadata) as its file holds them.

    clip_ids, eval_seeds: lists beside `paths`; an id may occur more than once (one clip, many seeds). Both are in the
    metadata, with a status for each clip: "ok", or why it has no windows: "unreadable" (missing, damaged or cut
    short), "empty" (no samples) or "nonfinite" (NaN or infinity). Such a clip is named in a warning, and no other
    takes its place. store: directory of the values by content, shared by all runs.
    """
    statuses, arrays = [], {feature.name: [] for feature in features}
    with ExitStack() as stack:
        stores = [stack.enter_context(_store(store, feature)) for feature in features]
        for path in progress(paths):
            sound = Sound(path)
            statuses.append(sound.status)
            for feature, kept in zip(features, stores):
                arrays[feature.name].append(_value(sound, feature, kept))
    for path, status in zip(paths, statuses):
        if status != OK:
            log.warning("%s: %s; the clip has no embeddings", path, status)
    metadata = {
        "clip_ids": json.dumps([str(clip_id) for clip_id in clip_ids]),
        "eval_seeds": json.dumps([int(seed) for seed in eval_seeds]),
        "status": json.dumps(statuses),
    }
    return {feature.name: feature.pack(arrays[feature.name], metadata) for feature in features}


def embed_captions(captions, model):
    """Captions, a series by clip id, through a TextAudioModel: (tensors, metadata) as captions.safetensors holds them.

    tensors: `text` float32 [n, d], beside metadata["clip_ids"]. A clip without a caption (missing, or nothing but
    space) is left out and counted in a warning; captions that are the same are embedded once. Raises UserError where no
    clip has one.
    """
    import torch

    present = captions.notna() & (captions.fillna("").astype(str).str.strip() != "")
    if not present.any():
        raise UserError("catalogue.parquet: no clip has a caption; take text_audio out of config's `metrics`")
    if not present.all():
        first = captions.index[~present][0]
        log.warning("%d of %d clips have no caption (first: %s)", (~present).sum(), len(captions), first)
    of_clip, texts = captions[present].factorize()
    vectors = np.asarray(model.embed_text(list(texts)), np.float32)
    metadata = {
        "clip_ids": json.dumps([str(clip_id) for clip_id in captions.index[present]]),
        "model": model.name,
        "audio": model.audio,
        "side": model.side,
        "standardise": json.dumps(model.standardise),
        "weights_sha256": model.weights_sha256,
    }
    return {"text": torch.from_numpy(vectors[of_clip])}, metadata


def reference_clips(split, sets):
    """Ids of the original clips that metrics compare with, in order.

    The test clips of `sets`, those with prompts, and all forget and holdout clips, what a copy would be a copy of.
    """
    check_split(split)
    chosen = (split["set"].isin(sets) & (split["part"] == "test")) | split["set"].isin(("forget", "holdout"))
    return list(split["clip_id"][chosen])


def _store(directory, feature):
    name = hashlib.sha256(feature.key.encode()).hexdigest()[:16]
    return Store(Path(directory, feature.name, name), feature.columns, feature.dtype)


def _value(sound, feature, kept):
    if sound.status != OK:
        return np.zeros((0, feature.columns), feature.dtype)
    value = kept.get(sound.sha256)
    if value is None:
        value = feature.compute(sound.at(feature.sample_rate))
        kept.put(sound.sha256, value)
    return value


class Sound:
    """An audio file, read once: the bytes that are hashed are those that are heard.

    status: see `embed_files`. sha256: of the file's bytes.
    """

    def __init__(self, path):
        self.status, self.sha256, self._waves = UNREADABLE, "", {}
        try:
            data = Path(path).read_bytes()
            self.sha256 = hashlib.sha256(data).hexdigest()
            self._wave, self._rate = _decode(data)
        except (OSError, ValueError):
            return
        self.status = EMPTY if not len(self._wave) else OK if np.isfinite(self._wave).all() else NONFINITE

    def at(self, sample_rate):
        """Mono wave at a sample rate, float32 [n_samples]: mean over channels, resampled by soxr VHQ."""
        if sample_rate == self._rate:
            return self._wave
        if sample_rate not in self._waves:
            import soxr

            self._waves[sample_rate] = soxr.resample(self._wave, self._rate, sample_rate, quality="VHQ")
        return self._waves[sample_rate]


def _decode(data):
    """(mono wave float32 [n_samples], sample rate). Raises ValueError where it is no sound or not all of it."""
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            wave, frames, rate = file.read(dtype="float32", always_2d=True), file.frames, file.samplerate
    except soundfile.LibsndfileError as error:
        raise ValueError(str(error)) from None
    if len(wave) < frames or _is_cut_wav(data):
        raise ValueError("cut short")
    return wave.mean(axis=1), rate


def _is_cut_wav(data):
    """Whether a wav file is shorter than its header says, which libsndfile takes as it is. A stream says nothing."""
    size = int.from_bytes(data[4:8], "little")
    return data[:4] == b"RIFF" and size not in (0, 2**32 - 1) and 8 + size > len(data)
