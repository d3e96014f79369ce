"""Generation: what a model plays for a caption, and how it goes on after the start of a clip."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import torch

from noencore.files import atomic
from noencore.musicgen.decode import generate
from noencore.split import clip_ids
from noencore.tokens import describe_tokens, load_clips
from noencore.training import pick_device
from noencore.waves import describe_audio

COLUMNS = [
    *("clip_id", "set", "kind", "eval_seed", "path", "rms_db", "silent", "clipped", "token_entropy", "repeated"),
    *("prompt_seconds", "match_0", "match_all"),
]


@dataclass(frozen=True)
class Decoding:
    """Sampling of prompts: guidance weight, temperature, top-k. Continuations are greedy, after `prompt_seconds`."""

    cfg: float
    temperature: float
    top_k: int
    batch: int
    prompt_seconds: tuple


def play(model, codec, decoding, split, shards, prompts, continuations, eval_seeds, audio_directory, progress=iter):
    """All that one model plays: (frame of generated.parquet, dict of its tokens, int16 [K, T], by row number).

    prompts, continuations: dict set -> number of test clips; see `choose_prompts`. Each prompt is sampled once per eval
    seed, decoded by `codec` (a codec.Codec) and written to `audio_directory`; continuations stay tokens.
    """
    wanted = choose_prompts(split, prompts)
    clips = load_clips(shards, list(wanted["clip_id"]))
    rows, tokens = [], {}
    for eval_seed in eval_seeds:
        made = sample_prompts(model, clips, decoding, eval_seed, progress)
        for prompt, codes in zip(wanted.itertuples(), made):
            path = Path(audio_directory) / f"{prompt.clip_id}-{eval_seed}.wav"
            wave = codec.decode(codes)
            write_wave(wave, codec.config.sample_rate, path)
            tokens[str(len(rows))] = codes.to(torch.int16)
            rows.append(
                {"clip_id": prompt.clip_id, "set": prompt.set, "kind": "prompt", "eval_seed": eval_seed,
                 "path": f"{path.parent.name}/{path.name}", **describe_audio(wave), **describe_tokens(codes)}
            )  # fmt: skip
    wanted = choose_prompts(split, continuations)
    clips = load_clips(shards, list(wanted["clip_id"]))
    for seconds in decoding.prompt_seconds:
        known = round(seconds * codec.config.frame_rate)
        made = continue_clips(model, clips, known, decoding.batch, progress)
        for clip, original, codes in zip(wanted.itertuples(), clips.codes, made):
            tokens[str(len(rows))] = codes.to(torch.int16)
            rows.append(
                {"clip_id": clip.clip_id, "set": clip.set, "kind": "continuation", "prompt_seconds": seconds,
                 **describe_tokens(codes), **describe_match(codes, original, known)}
            )  # fmt: skip
    return pd.DataFrame(rows).reindex(columns=COLUMNS), tokens


def choose_prompts(split, counts):
    """counts[set] test clips of each set: a frame of clip_id, set.

    The order is that of the hashed clip ids: it mixes works, and asking for more clips keeps the ones there are.
    """
    chosen = []
    for name, count in counts.items():
        ids = clip_ids(split, [name], ["test"])
        ids.sort(key=lambda clip: hashlib.sha256(clip.encode()).digest())
        chosen += [{"clip_id": clip, "set": name} for clip in ids[:count]]
    return pd.DataFrame(chosen, columns=["clip_id", "set"])


def sample_prompts(model, clips, decoding, eval_seed, progress=iter):
    """Sample one clip for each caption: list of int64 [K, T] on the CPU, T as long as the clips.

    The draw of a clip depends on eval_seed and its id alone, so two models are compared on the same random numbers,
    whatever else they play.
    """
    model = model.to(pick_device()).eval()
    made = []
    for first in progress(range(0, len(clips), decoding.batch)):
        index = range(first, min(first + decoding.batch, len(clips)))
        batch = clips.take(index).to(pick_device())
        seeds = [_draw_seed(clip, eval_seed) for clip in batch.ids]
        codes = generate(
            model, batch.text, batch.text_mask, batch.codes.shape[2],
            cfg=decoding.cfg, temperature=decoding.temperature, top_k=decoding.top_k, seeds=seeds,
        )  # fmt: skip
        made += codes.cpu().unbind()
    return made


def _draw_seed(clip_id, eval_seed):
    """A seed of 32 bits: torch's CPU generator looks at no more."""
    return int.from_bytes(hashlib.sha256(f"{eval_seed} {clip_id}".encode()).digest()[:4])


def continue_clips(model, clips, known, batch, progress=iter):
    """Greedy continuation of the first `known` frames of each clip under its caption, unguided: list of [K, T]."""
    model = model.to(pick_device()).eval()
    made = []
    for first in progress(range(0, len(clips), batch)):
        batch_clips = clips.take(range(first, min(first + batch, len(clips)))).to(pick_device())
        prompt = batch_clips.codes[:, :, :known]
        text, mask = batch_clips.text, batch_clips.text_mask
        codes = generate(model, text, mask, clips.codes.shape[2], prompt=prompt, cfg=1.0)
        made += codes.cpu().unbind()
    return made


def describe_match(codes, original, prompt_frames):
    """Share of the tokens after the prompt that are the original's: of codebook 0, and of all codebooks.

    The last q frames of codebook q do not count: under the delay pattern no model is trained on them.
    """
    codebooks, frames = codes.shape
    trained = torch.arange(frames) + torch.arange(codebooks)[:, None] < frames
    trained[:, :prompt_frames] = False
    same = (codes == original).double()
    return {"match_0": float(same[0][trained[0]].mean()), "match_all": float(same[trained].mean())}


def write_wave(wave, sample_rate, path):
    """Write float32 [n_samples] as a 16-bit wav file."""
    with atomic(Path(path)) as temporary:
        soundfile.write(temporary, np.clip(wave, -1, 1), sample_rate, "PCM_16", format="WAV")
