"""Clips as tokens and text states, in shards; and the way back into one batch of tensors for training.

A shard is a safetensors file with `codes/<clip_id>` int16 [K, T] and `text/<clip_id>` float16 [L, D] for each clip.
Which shard a clip is in depends on its id alone, so the shards know nothing of the split.
"""

import hashlib
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
import torch

from noencore.errors import UserError
from noencore.files import read_tensors, write_tensors
from noencore.waves import AUDIO_CURE, check_audio


def shard_of(clip_id, shards):
    """The shard (0 .. shards - 1) that holds a clip."""
    return zlib.crc32(clip_id.encode()) % shards


def encode_clips(rows, root, codec, key, make_encoder, store, progress=iter):
    """Tensors of one shard, from catalogue rows whose audio paths are relative to `root`.

    Codes and text states are kept in `store`, a directory of one file for each, by the content of the audio or caption
    and `key` (which names weights and code), so that a clip is encoded once, whatever shard, split or run it is in.
    `make_encoder` is called where a caption is new. Raises UserError where an audio file is missing, damaged,
    not what the catalogue describes, or of another sample rate than the codec.
    """
    tensors, encoder = {}, cache(make_encoder)

    def codes(row):
        return codec.encode(read_audio(Path(root) / row.path, row.sha256, codec.config.sample_rate))

    def text(row):
        return encoder().encode(row.caption)

    for row in progress(list(rows.itertuples())):
        tensors[f"codes/{row.clip_id}"] = _kept(Path(store), "codes", f"{row.sha256} {key}", codes, row)
        tensors[f"text/{row.clip_id}"] = _kept(Path(store), "text", f"{row.caption} text {key}", text, row)
    return tensors


def _kept(store, name, content, make, row):
    """The tensor that the store holds for some content, made where it is not there."""
    digest = hashlib.sha256(content.encode()).hexdigest()
    path = store / digest[:2] / f"{digest}.safetensors"
    if not path.exists():
        write_tensors({name: make(row)}, path)
    return read_tensors(path)[0][name]


def read_audio(path, expected_sha256, sample_rate):
    """Mono float32 [n_samples] of an audio file that must be the one that the catalogue describes."""
    check_audio(path, expected_sha256)
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    if rate != sample_rate:
        raise UserError(f"{path}: {rate} Hz, but the codec works at {sample_rate} Hz; {AUDIO_CURE}")
    return audio.mean(axis=1)


@dataclass
class Clips:
    """Clips in memory. codes [N, K, T] int64, text [N, L, D] float32 padded with zeros, text_mask [N, L] bool."""

    ids: list
    codes: torch.Tensor
    text: torch.Tensor
    text_mask: torch.Tensor

    def __len__(self):
        return len(self.ids)

    def take(self, index):
        """The clips at some positions, text cut to the longest caption among them."""
        index = torch.as_tensor(np.asarray(index), dtype=torch.long)
        mask = self.text_mask[index]
        longest = int(mask.sum(1).max()) if len(index) else 0
        ids = [self.ids[i] for i in index.tolist()]
        return Clips(ids, self.codes[index], self.text[index, :longest], mask[:, :longest])

    def to(self, device):
        return Clips(self.ids, self.codes.to(device), self.text.to(device), self.text_mask.to(device))


def read_codec_shape(shard):
    """What a model must know of the codec that made a shard: a dict of codebooks, card, frame_rate."""
    metadata = read_tensors(shard)[1]
    return {
        "codebooks": int(metadata["codebooks"]),
        "card": int(metadata["card"]),
        "frame_rate": float(metadata["frame_rate"]),
    }


def codec_shape_metadata(config):
    """The same, from a codec.CodecConfig, as the strings that a shard keeps."""
    return {"codebooks": str(config.codebooks), "card": str(config.card), "frame_rate": str(config.frame_rate)}


def load_clips(shards, ids):
    """Read clips by id from shard files (any order). Raises UserError naming what is missing."""
    found = {}
    for shard in shards:
        found.update(read_tensors(shard)[0])
    missing = [clip for clip in ids if f"codes/{clip}" not in found]
    if missing:
        raise UserError(
            f"{Path(shards[0]).parent}: no tokens for clip {missing[0]} and {len(missing) - 1} others; "
            "delete the folder and run again"
        )
    texts = [found[f"text/{clip}"].float() for clip in ids]
    text = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True)
    lengths = torch.tensor([len(states) for states in texts])
    mask = torch.arange(text.shape[1])[None] < lengths[:, None]
    return Clips(list(ids), torch.stack([found[f"codes/{clip}"] for clip in ids]).long(), text, mask)


def describe_tokens(codes):
    """What tokens [K, T] alone tell of a clip: entropy of codebook 0 (nats) and share of frames like the one before."""
    shares = np.unique(codes[0].numpy(), return_counts=True)[1] / codes.shape[1]
    repeated = (codes[:, 1:] == codes[:, :-1]).all(dim=0).double().mean()
    return {"token_entropy": float(-(shares * np.log(shares)).sum()), "repeated": float(repeated)}
