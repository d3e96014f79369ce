"""CLAP in transformers' networks is CLAP in laion-clap's; fixed windows, captions, and which HTSAT a file holds."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from standins_audio import RELEASED, TOY, declare, original_htsat, original_roberta, write_clap

from noencore.embeddings import laion_clap, load_embedding_model, load_text_audio_model
from noencore.embeddings.weights import CLAP
from noencore.errors import UserError

RATE, WINDOW = laion_clap.SAMPLE_RATE, laion_clap.WINDOW
LONG = "a reel and a jig and an air " * 20


@pytest.fixture(scope="module")
def audio(audio_weights):
    return load_embedding_model("laion_clap", audio_weights)


@pytest.fixture(scope="module")
def text(audio_weights):
    return load_text_audio_model("laion_clap", audio_weights)


def part_of(state, prefix):
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def project(state, name, x):
    x = F.relu(F.linear(x, state[f"{name}.0.weight"], state[f"{name}.0.bias"]))
    return F.normalize(F.linear(x, state[f"{name}.2.weight"], state[f"{name}.2.bias"]), dim=-1).numpy()


@torch.no_grad()
def original_audio(weights, size, windows):
    """laion-clap's own HTSAT over windows of 10 s, its spectrogram included."""
    state = laion_clap.read_state(weights / "laion_clap" / CLAP.name)
    htsat = original_htsat(size)
    htsat.load_state_dict(part_of(state, "audio_branch."))
    found = htsat({"waveform": torch.from_numpy(windows)})["embedding"]
    return project(state, "audio_projection", found)


@torch.no_grad()
def original_text(weights, size, captions):
    """laion-clap's text side: every caption padded to 77 tokens."""
    state = laion_clap.read_state(weights / "laion_clap" / CLAP.name)
    roberta = original_roberta(size)
    del state["text_branch.embeddings.position_ids"]
    roberta.load_state_dict(part_of(state, "text_branch."))
    tokens = laion_clap.load_tokenizer(weights)(
        captions, padding="max_length", truncation=True, max_length=77, return_tensors="pt"
    )
    return project(state, "text_projection", roberta(**tokens).pooler_output)


def test_audio_is_that_of_the_original(audio, audio_weights, music):
    wave = music(25, RATE)
    windows = np.stack([wave[:WINDOW], wave[WINDOW : 2 * WINDOW], wave[-WINDOW:]])
    ours = audio.embed(wave).embeddings
    np.testing.assert_allclose(ours, original_audio(audio_weights, TOY, windows), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, rtol=1e-5)


def test_text_is_that_of_the_original(text, audio_weights):
    captions = ["A slow air on the harp.", "", "Ein Walzer für Flöte ♪", LONG, *laion_clap.PROBE_CAPTIONS]
    np.testing.assert_allclose(text.embed_text(captions), original_text(audio_weights, TOY, captions), atol=1e-5)


def test_a_long_clip_is_itself(audio, music):
    """laion-clap crops 10 s of it at random: there its cosine with itself is 0.3 to 0.99."""
    wave = music(30, RATE)
    mean = [audio.embed(wave).embeddings.mean(axis=0) for _ in range(2)]
    assert mean[0] @ mean[1] / np.linalg.norm(mean[0]) / np.linalg.norm(mean[1]) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("seconds", "times", "padded"), [(4, 2, 0.2), (6, 1, 0.4), (2.5, 4, 0), (10, 1, 0)])
def test_a_short_clip_is_repeated_and_filled_up(audio, music, seconds, times, padded):
    wave = music(seconds, RATE)
    by_hand = np.zeros(WINDOW, np.float32)
    by_hand[: times * len(wave)] = np.tile(wave, times)
    short = audio.embed(wave)
    np.testing.assert_allclose(short.padded, [padded], atol=1e-6)
    np.testing.assert_array_equal(short.embeddings, audio.embed(by_hand).embeddings)


def test_which_htsat_it_is_stands_in_the_tensors(tmp_path, music):
    """As tiny and base differ: in width, depth and heads."""
    size = replace(TOY, htsat=12, htsat_layers=(2, 2, 4, 2), htsat_heads=(2, 2, 4, 4))
    write_clap(tmp_path, size)
    wave = music(10, RATE)
    ours = load_embedding_model("laion_clap", tmp_path).embed(wave).embeddings
    np.testing.assert_allclose(ours, original_audio(tmp_path, size, wave[None]), atol=1e-5)


def test_a_checkpoint_with_fusion_is_refused(tmp_path):
    write_clap(tmp_path)
    path = tmp_path / "laion_clap" / CLAP.name
    state = torch.load(path, weights_only=False)["state_dict"]
    state["module.audio_branch.patch_embed.mel_conv2d.weight"] = torch.zeros(8, 1, 4, 12)
    torch.save({"state_dict": state}, path)
    declare(path.parent)
    with pytest.raises(UserError, match=r"not the weights of this network.*mel_conv2d"):
        load_embedding_model("laion_clap", tmp_path)


def test_a_file_without_a_text_side_is_refused(tmp_path):
    write_clap(tmp_path)
    path = tmp_path / "laion_clap" / CLAP.name
    state = torch.load(path, weights_only=False)["state_dict"]
    torch.save({"state_dict": {name: tensor for name, tensor in state.items() if "text" not in name}}, path)
    declare(path.parent)
    with pytest.raises(UserError, match="not the weights of this network"):
        load_text_audio_model("laion_clap", tmp_path)


def test_captions(text):
    captions = ["A slow air.", LONG, "", "A slow air."]
    together = text.embed_text(captions)
    assert together.shape == (4, TOY.clap)
    assert together.dtype == np.float32
    np.testing.assert_array_equal(together[0], together[3])
    for caption, row in zip(captions, together):
        np.testing.assert_allclose(text.embed_text([caption])[0], row, atol=1e-5)
    assert text.embed_text([]).shape == (0, TOY.clap)
    assert (text.audio, text.side, text.standardise) == ("laion_clap", "embeddings", False)


def test_long_captions_are_cut_and_counted(text, caplog):
    with caplog.at_level("WARNING", logger="noencore"):
        cut = text.embed_text([LONG, LONG + "on the harp", "A reel."])
    assert "2 of 3 captions are longer than 77 tokens: cut" in caplog.text
    np.testing.assert_array_equal(cut[0], cut[1])
    caplog.clear()
    text.embed_text(["A reel."])
    assert caplog.text == ""


def test_tokens_are_robertas(audio_weights):
    tokenizer = laion_clap.load_tokenizer(audio_weights)
    tokens = tokenizer(["A reel.", "A lively reel in D major."], padding=True)["input_ids"]
    assert tokens[0][0] == 0  # <s>
    assert tokens[1][-1] == 2  # </s>
    assert tokens[0][-1] == 1  # <pad>
    assert tokenizer.decode(tokens[1], skip_special_tokens=True) == "A lively reel in D major."


def test_a_missing_vocabulary_is_named(audio_weights, tmp_path):
    (tmp_path / "laion_clap").mkdir()
    for path in (audio_weights / "laion_clap").iterdir():
        if path.name != "vocab.json":
            (tmp_path / "laion_clap" / path.name).symlink_to(path)
    load_embedding_model("laion_clap", tmp_path)  # sound needs no tokenizer
    with pytest.raises(UserError, match=r"vocab\.json: missing; fetch it from .*roberta-base"):
        load_text_audio_model("laion_clap", tmp_path)


def test_probe_captions_are_unlike_each_other(text):
    """Even to random weights; a collapsed text tower has a mean cosine above 0.9."""
    vectors = text.embed_text(list(laion_clap.PROBE_CAPTIONS))
    assert len(vectors) >= 10
    cosines = vectors @ vectors.T
    assert cosines[np.triu_indices(len(vectors), 1)].mean() < 0.8


@pytest.mark.large
def test_in_the_released_size(tmp_path, music):
    torch.manual_seed(0)
    write_clap(tmp_path, RELEASED)
    wave, captions = music(20, RATE), ["A slow air on the harp.", "A lively reel."]
    model = load_embedding_model("laion_clap", tmp_path)
    assert model.dimension == 512
    ours = model.embed(wave).embeddings
    np.testing.assert_allclose(ours, original_audio(tmp_path, RELEASED, wave.reshape(2, -1)), atol=1e-5)
    ours = load_text_audio_model("laion_clap", tmp_path).embed_text(captions)
    np.testing.assert_allclose(ours, original_text(tmp_path, RELEASED, captions), atol=1e-5)
