"""The encoder of a released EnCodec (Défossez et al. 2022, arXiv 2210.13438), before the quantizer.

Windows and pooling are those of `noencore.embeddings.codec`. The weights are a snapshot of a mono EnCodec in
transformers' format, such as facebook/encodec_32khz, the codec of the released MusicGen models.
"""

import numpy as np

from noencore.embeddings import EmbeddingModel
from noencore.embeddings.codec import WINDOW_S, pooled
from noencore.embeddings.weights import ENCODEC, ENCODEC_CONFIG, verified_file
from noencore.errors import UserError
from noencore.hub import load_weights


def load(weights):
    """Load from `weights`/encodec. Raises UserError, naming the file, for what is missing, damaged or not mono."""
    from transformers import EncodecModel

    verified_file("encodec", ENCODEC_CONFIG, weights)
    path, digest = verified_file("encodec", ENCODEC, weights)
    model = load_weights(EncodecModel, path.parent)
    config = model.config
    if config.audio_channels != 1 or config.normalize:
        raise UserError(f"{path.parent}: the codec is not mono or scales its input; take facebook/encodec_32khz")
    embed = pooled(model.encoder, config.sampling_rate, int(np.prod(config.upsampling_ratios)))
    return EmbeddingModel("encodec", config.sampling_rate, WINDOW_S, WINDOW_S, config.hidden_size, digest, embed)
