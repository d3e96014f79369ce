"""The encoder of a released EnCodec (Défossez et al. 2022, arXiv 2210.13438), before the quantizer.

Windows and pooling are those of `noencore.embeddings.codec`. The weights are a snapshot of a mono EnCodec in
transformers' format, such as facebook/encodec_32khz, the codec of the released MusicGen models.
"""

from pathlib import Path

import numpy as np

from noencore.embeddings import EmbeddingModel
from noencore.embeddings.codec import WINDOW_S, pooled
from noencore.errors import UserError
from noencore.files import sha256
from noencore.hub import load_weights

FILES = ("config.json", "model.safetensors")
REPOSITORY = "facebook/encodec_32khz"


def load(weights):
    """Load from `weights`/encodec. Raises UserError, naming the file, for what is missing, damaged or not mono."""
    from transformers import EncodecModel

    directory = Path(weights, "encodec")
    for name in FILES:
        if not (directory / name).is_file():
            raise UserError(f"{directory / name}: missing; `hf download {REPOSITORY} --local-dir {directory}`")
    model = load_weights(EncodecModel, directory)
    config = model.config
    if config.audio_channels != 1 or config.normalize:
        raise UserError(f"{directory}: the codec is not mono or scales its input; take that of {REPOSITORY}")
    embed = pooled(model.encoder, config.sampling_rate, int(np.prod(config.upsampling_ratios)))
    weights_sha256 = sha256(directory / FILES[1])
    return EmbeddingModel("encodec", config.sampling_rate, WINDOW_S, config.hidden_size, weights_sha256, embed)
