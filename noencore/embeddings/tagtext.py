"""tagtext: how well music fits a caption, from two models that never met. It is not CLAP.

A caption becomes the cosines of its sentence vector with those of 50 tag names; the audio side is the logits that
musicnn gives to the same 50 tags. The sentence vectors are all-MiniLM-L6-v2's: mean over tokens, of unit length.
Both sides must be standardised over the clips before they are compared: tags differ in how often they are meant.
"""

import numpy as np

from noencore.embeddings import TextAudioModel
from noencore.files import sha256
from noencore.text import TextEncoder, weights_directory

# The tags of the Million Song Dataset in the order of MSD_musicnn's outputs: MSD_LABELS in musicnn 0.1.0.
TAGS = (
    *("rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s", "alternative rock"),
    *("jazz", "beautiful", "metal", "chillout", "male vocalists", "classic rock", "soul", "indie rock", "Mellow"),
    *("electronica", "80s", "folk", "90s", "chill", "instrumental", "punk", "oldies", "blues", "hard rock"),
    *("ambient", "acoustic", "experimental", "female vocalist", "guitar", "Hip-Hop", "70s", "party", "country"),
    *("easy listening", "sexy", "catchy", "funk", "electro", "heavy metal", "Progressive rock", "60s", "rnb"),
    *("indie pop", "sad", "House", "happy"),
)


def load_text(weights=None):
    """Load the text side. Raises UserError where the package with the sentence encoder is missing."""
    encoder = TextEncoder()
    tags = sentence_vectors(encoder, TAGS)

    def embed_text(captions):
        return sentence_vectors(encoder, captions) @ tags.T

    digest = sha256(weights_directory() / "model.safetensors")
    return TextAudioModel("tagtext", "musicnn", "logits", True, digest, embed_text)


def sentence_vectors(encoder, texts):
    """Unit vectors of texts, float32 [n, 384]. A text is read up to the encoder's 512 tokens."""
    vectors = np.array([encoder.encode(text).float().mean(dim=0).numpy() for text in texts], np.float32)
    vectors = vectors.reshape(len(texts), -1)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
