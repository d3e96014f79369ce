"""tagtext: captions as cosines with musicnn's tag names."""

import ast

import numpy as np
import pytest

from noencore.embeddings import load_text_audio_model, musicnn, tagtext


@pytest.fixture(scope="module")
def model():
    return load_text_audio_model("tagtext")


def test_the_tags_are_those_of_the_package_in_its_order():
    """Read without importing musicnn, which wants TensorFlow."""
    tree = ast.parse((musicnn.weights_file().parents[1] / "configuration.py").read_text())
    labels = next(node.value for node in tree.body if getattr(node, "targets", [None])[0].id == "MSD_LABELS")
    assert list(tagtext.TAGS) == ast.literal_eval(labels)
    assert len(tagtext.TAGS) == musicnn.CLASSES


def test_a_caption_that_is_a_tag_is_nearest_to_it(model):
    vectors = model.embed_text(list(tagtext.TAGS))
    assert vectors.shape == (50, 50)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.diag(vectors), 1, atol=1e-3)
    assert (vectors.argmax(axis=1) == np.arange(50)).all()


def test_a_caption_is_the_same_alone_and_among_others(model):
    captions = ["a slow air on the fiddle", "heavy metal with loud guitars", "música triste"]
    together = model.embed_text(captions)
    np.testing.assert_allclose(together[1], model.embed_text(captions[1:2])[0], atol=1e-6)
    assert tagtext.TAGS[together[1].argmax()] in ("heavy metal", "metal")
    assert np.isfinite(together).all()


def test_the_end_of_a_caption_of_more_than_77_tokens_is_read(model):
    start = "a long and winding tune that goes on and on " * 12
    blues, dance = model.embed_text([start + "played as blues", start + "made for a dance"])
    assert not np.allclose(blues, dance, atol=1e-3)


def test_what_it_says_of_itself(model):
    assert (model.name, model.audio, model.side, model.standardise) == ("tagtext", "musicnn", "logits", True)
