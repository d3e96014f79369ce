"""Generation: the same prompts and draws for every model, and numbers that say what was played."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from noencore.files import write_tensors
from noencore.generation import (
    COLUMNS,
    Decoding,
    choose_prompts,
    continue_clips,
    describe_match,
    describe_tokens,
    play,
    sample_prompts,
    write_wave,
)
from noencore.musicgen.model import MusicGenLM
from noencore.training import TrainingRecipe, train_model
from noencore.waves import describe_audio

DECODING = Decoding(cfg=3.0, temperature=1.0, top_k=10, batch=4, prompt_seconds=(0, 0.02))


@pytest.fixture(scope="module")
def model(make_model):
    return make_model()


@pytest.fixture(scope="module")
def split():
    """Twelve clips of two works a set; one of the works is dev."""
    rows = [
        {"clip_id": f"{name}-{i:02}", "work_id": f"{name}{i % 2}", "set": name, "part": "test" if i % 2 else "dev"}
        for name in ("forget", "remain", "holdout")
        for i in range(24)
    ]
    return pd.DataFrame(rows)


def same(one, other):
    return [codes.tolist() for codes in one] == [codes.tolist() for codes in other]


def test_prompts_are_test_clips_of_their_set(split):
    chosen = choose_prompts(split, {"remain": 5, "forget": 12}).merge(split, on=["clip_id", "set"])
    assert (chosen["part"] == "test").all()
    assert chosen["set"].value_counts().to_dict() == {"forget": 12, "remain": 5}


@pytest.mark.parametrize("more", range(1, 12))
def test_asking_for_more_prompts_keeps_the_ones_there_are(split, more):
    few, many = (list(choose_prompts(split, {"forget": n})["clip_id"]) for n in (more, more + 1))
    assert many[:more] == few


def test_prompts_of_a_set_depend_neither_on_other_sets_nor_on_the_order_of_rows(split):
    alone = list(choose_prompts(split, {"forget": 6})["clip_id"])
    both = choose_prompts(split.sample(frac=1, random_state=0), {"remain": 3, "forget": 6})
    assert list(both["clip_id"][both["set"] == "forget"]) == alone
    assert alone != sorted(alone)


def test_a_sample_depends_on_eval_seed_and_clip_alone(model, make_clips):
    clips = make_clips(6)
    sampled = sample_prompts(model, clips, DECODING, eval_seed=0)
    assert [codes.shape for codes in sampled] == [(4, 12)] * 6
    one_by_one = sample_prompts(model, clips, Decoding(3.0, 1.0, 10, batch=1, prompt_seconds=()), eval_seed=0)
    assert same(sampled, one_by_one)
    other_neighbours = clips.take([0, 1, 2])
    assert same(sample_prompts(model, other_neighbours, DECODING, eval_seed=0), sampled[:3])
    other_audio = make_clips(6)
    other_audio.codes = torch.zeros_like(clips.codes)
    assert same(sample_prompts(model, other_audio, DECODING, eval_seed=0), sampled)
    assert not same(sample_prompts(model, clips, DECODING, eval_seed=1), sampled)
    moved = sample_prompts(model, clips.take([1, 0]), DECODING, eval_seed=0)
    assert same(moved, [sampled[1], sampled[0]])


def test_a_continuation_begins_with_the_clip_and_depends_on_no_later_frame(model, make_clips):
    clips, cut = make_clips(5), make_clips(5)
    cut.codes[:, :, 4:] = 0
    continued = continue_clips(model, clips, 4, batch=4)
    assert [codes.shape for codes in continued] == [(4, 12)] * 5
    assert all(torch.equal(codes[:, :4], clip[:, :4]) for codes, clip in zip(continued, clips.codes, strict=True))
    assert same(continue_clips(model, cut, 4, batch=4), continued)


def test_a_model_that_has_memorised_clips_continues_them(model, make_clips, tiny_config, tmp_path):
    clips = make_clips(2)
    recipe = TrainingRecipe(steps=150, batch=2, lr=1e-2, warmup=0.1, weight_decay=0.0, p_uncond=0.0)
    trained, _ = train_model(MusicGenLM(tiny_config, seed=0), clips, recipe, 0, tmp_path / "run.safetensors")
    for original, before, after in zip(
        clips.codes, continue_clips(model, clips, 4, batch=4), continue_clips(trained, clips, 4, batch=4), strict=True
    ):
        assert describe_match(before, original, 4)["match_0"] < 0.5
        assert describe_match(after, original, 4) == {"match_0": 1.0, "match_all": 1.0}


def test_token_numbers_in_closed_form():
    constant = torch.full((4, 10), 7)
    assert describe_tokens(constant) == {"token_entropy": 0.0, "repeated": 1.0}
    each_once = torch.arange(10).repeat(4, 1)
    assert describe_tokens(each_once) == {"token_entropy": pytest.approx(math.log(10)), "repeated": 0.0}
    halves = torch.tensor([[0, 0, 1, 1]] * 4)
    assert describe_tokens(halves) == {"token_entropy": pytest.approx(math.log(2)), "repeated": pytest.approx(2 / 3)}


def test_a_frame_is_repeated_where_all_codebooks_are():
    codes = torch.tensor([[0, 0, 1, 1]] * 3 + [[0, 1, 2, 2]])
    assert describe_tokens(codes)["repeated"] == pytest.approx(1 / 3)


def test_matches_are_counted_after_the_prompt():
    original = torch.zeros(4, 10, dtype=torch.long)
    codes = original.clone()
    codes[:, :4] = 9  # in the prompt: of no account
    codes[0, 4:7] = 9
    assert describe_match(original, original, 4) == {"match_0": 1.0, "match_all": 1.0}
    codes[3, 7:] = codes[1, 9:] = 9  # the last q frames of codebook q: no model is trained on them
    assert describe_match(codes, original, 4) == {"match_0": 0.5, "match_all": pytest.approx(1 - 3 / 18)}


def test_a_wave_beyond_full_scale_is_clipped(tmp_path):
    write_wave(np.array([0.5, 2.0, -3.0], dtype=np.float32), 16000, tmp_path / "x.wav")
    read, rate = soundfile.read(tmp_path / "x.wav")
    np.testing.assert_allclose(read, [0.5, 1.0, -1.0], atol=1e-4)
    assert rate == 16000


@pytest.fixture
def shard(split, make_clips, tmp_path):
    clips = make_clips(len(split))
    tensors = {}
    for row, clip in enumerate(split["clip_id"]):
        tensors[f"codes/{clip}"] = clips.codes[row].short()
        tensors[f"text/{clip}"] = clips.text[row][clips.text_mask[row]].half()
    write_tensors(tensors, tmp_path / "shard-0.safetensors")
    return tmp_path / "shard-0.safetensors"


class FakeCodec:
    """Ten samples a frame, at the level of its first token."""

    config = SimpleNamespace(sample_rate=16000, frame_rate=100)

    def decode(self, codes):
        return (codes[0].float() / 100).repeat_interleave(10).numpy()


@pytest.fixture
def played(model, split, shard, tmp_path):
    """All that a model plays, with two eval seeds; a function of nothing, to play again."""

    def call(folder="audio"):
        sets = {"forget": 3, "remain": 2}, {"forget": 4, "holdout": 1}
        return play(model, FakeCodec(), DECODING, split, [shard], *sets, [0, 1], tmp_path / folder)

    return call


def test_everything_that_is_played_has_a_row_and_its_tokens(played, tmp_path):
    frame, tokens = played()
    assert list(frame) == COLUMNS
    prompts, continuations = (frame[frame["kind"] == kind] for kind in ("prompt", "continuation"))
    assert prompts.groupby(["eval_seed", "set"]).size().to_dict() == {
        (0.0, "forget"): 3,
        (0.0, "remain"): 2,
        (1.0, "forget"): 3,
        (1.0, "remain"): 2,
    }
    assert continuations.groupby(["prompt_seconds", "set"]).size().to_dict() == {
        (0.0, "forget"): 4,
        (0.0, "holdout"): 1,
        (0.02, "forget"): 4,
        (0.02, "holdout"): 1,
    }
    assert set(tokens) == {str(row) for row in frame.index}
    for row in frame.itertuples():
        codes = tokens[str(row.Index)]
        assert (codes.dtype, codes.shape) == (torch.int16, (4, 12))
        assert row.token_entropy == pytest.approx(describe_tokens(codes)["token_entropy"])
    assert prompts[["match_0", "match_all"]].isna().all(axis=None)
    assert continuations[["eval_seed", "path", "rms_db", "silent"]].isna().all(axis=None)
    assert continuations[["match_0", "match_all"]].notna().all(axis=None)


def test_audio_is_the_decoded_tokens(played, tmp_path):
    frame, tokens = played()
    prompts = frame[frame["kind"] == "prompt"]
    for row in prompts.itertuples():
        wave, rate = soundfile.read(tmp_path / row.path)
        assert rate == 16000
        np.testing.assert_allclose(wave, FakeCodec().decode(tokens[str(row.Index)]), atol=1e-4)
        assert row.rms_db == pytest.approx(describe_audio(wave)["rms_db"], abs=0.01)
    assert {tmp_path / path for path in prompts["path"]} == set((tmp_path / "audio").iterdir())


def test_playing_again_gives_the_same(played):
    (one, its_tokens), (two, other_tokens) = played("one"), played("two")
    pd.testing.assert_frame_equal(one.drop(columns="path"), two.drop(columns="path"))
    assert all(torch.equal(its_tokens[row], other_tokens[row]) for row in its_tokens)
