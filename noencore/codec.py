"""The codec: EnCodec (SEANet and a residual vector quantizer), audio to tokens and back.

`Codec` reads a file of ours, `ReleasedCodec` the codec of a released package.

audiocraft is imported here, to train the first and to read the second, and, to be compared with, in
`musicgen/__main__.py`, and nowhere else in the library: the import takes seconds.
"""

import json
import os
import warnings
from dataclasses import asdict, dataclass
from textwrap import shorten

import numpy as np
import torch

from noencore.errors import UserError
from noencore.files import read_tensors, write_tensors
from noencore.hub import AGAIN, CODEC_FILE, find_package, load_weights, read_config, read_package, read_state
from noencore.seanet import Seanet

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # `import audiocraft` imports laion_clap, which would ask the hub


@dataclass(frozen=True)
class CodecConfig:
    """Shape of the codec. Frames a second = sample_rate / product(ratios)."""

    sample_rate: int = 16000
    filters: int = 24
    dimension: int = 64
    ratios: tuple[int, ...] = (2, 4, 5, 8)
    codebooks: int = 4
    card: int = 256

    @property
    def hop(self):
        return int(np.prod(self.ratios))

    @property
    def frame_rate(self):
        return self.sample_rate / self.hop


@dataclass(frozen=True)
class ReleasedCodecConfig:
    """What there is to know of a codec that somebody else has built. Frames a second = sample_rate / hop."""

    sample_rate: int
    hop: int
    codebooks: int
    card: int

    @property
    def frame_rate(self):
        return self.sample_rate / self.hop


def build(config):
    """An untrained audiocraft EncodecModel of this shape."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from audiocraft.models.encodec import EncodecModel
        from audiocraft.modules.seanet import SEANetDecoder, SEANetEncoder
        from audiocraft.quantization import ResidualVectorQuantizer

    shape = {
        "channels": 1,
        "dimension": config.dimension,
        "n_filters": config.filters,
        "n_residual_layers": 1,
        "ratios": list(config.ratios),
        "pad_mode": "constant",
        "lstm": 0,
    }
    quantizer = ResidualVectorQuantizer(
        dimension=config.dimension,
        n_q=config.codebooks,
        bins=config.card,
        decay=0.99,
        kmeans_init=True,
        kmeans_iters=50,
        threshold_ema_dead_code=2,
    )
    return EncodecModel(
        SEANetEncoder(**shape),
        SEANetDecoder(**shape),
        quantizer,
        frame_rate=config.frame_rate,
        sample_rate=config.sample_rate,
        channels=1,
    )


def save(model, config, path):
    """Write weights (in half precision) and shape as one safetensors file."""
    tensors = {k: v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()}
    write_tensors(tensors, path, {"config": json.dumps(asdict(config), sort_keys=True)})


class Codec:
    """A trained codec, in fp32 and one clip at a time, so that a clip's tokens do not depend on its batch."""

    def __init__(self, path):
        tensors, metadata = read_tensors(path)
        try:
            fields = json.loads(metadata["config"])
            self.config = config = CodecConfig(**{**fields, "ratios": tuple(fields["ratios"])})
            self.model = Seanet(tensors)
            if self.model.shape != (config.filters, config.dimension, config.ratios, config.codebooks, config.card):
                raise ValueError("tensors of another shape")
            self.decode(self.encode(np.zeros(config.hop)))
        except (KeyError, TypeError, ValueError, RuntimeError):
            raise UserError(f"{path}: not a codec of ours; make one with `--configfile presets/codec.yaml`") from None

    @torch.inference_mode()
    def encode(self, wave):
        """float32 [n_samples] -> int16 [K, T], T = n_samples // hop."""
        frames = len(wave) // self.config.hop
        audio = torch.from_numpy(np.ascontiguousarray(wave[: frames * self.config.hop], dtype=np.float32))
        codes, _ = self.model.encode(audio[None, None])
        return codes[0].to(torch.int16)

    @torch.inference_mode()
    def decode(self, codes):
        """int [K, T] -> float32 [T * hop]."""
        return self.model.decode(codes[None].long())[0, 0].numpy()


class ReleasedCodec(Codec):
    """The codec of a released package (see `hub.find_package`): `compression_state_dict.bin` in either form.

    The file holds weights and config, or the name of an EnCodec in the hub, which is looked up in the cache `hub`.
    codebooks: how many to use (default: all); the language model's n_q, as audiocraft's `compression_model_n_q`.
    Raises UserError where a file is missing or damaged, or the codec is not mono, scales its input or has too few
    codebooks.
    """

    def __init__(self, package, codebooks=None, hub=None):
        path = find_package(package, hub) / CODEC_FILE
        stored = read_package(path)
        self.model = _from_hub(path, stored["pretrained"], hub) if "pretrained" in stored else _from_file(path, stored)
        self.model.eval()
        model = self.model
        try:
            if codebooks is not None:
                model.set_num_codebooks(codebooks)
        except (AssertionError, ValueError):
            raise UserError(f"{path}: {model.total_codebooks} codebooks, but the model needs {codebooks}") from None
        _, scale = model.encode(torch.zeros(1, model.channels, int(model.sample_rate)))
        if model.channels != 1 or scale is not None:
            raise UserError(f"{path}: the codec is not mono or scales its input; take the codec of a mono package")
        hop = round(model.sample_rate / model.frame_rate)
        self.config = ReleasedCodecConfig(int(model.sample_rate), hop, model.num_codebooks, int(model.cardinality))


def open_codec(path, base=None, codebooks=None):
    """The codec of an experiment: a file of ours, or that of a released package.

    base: None, or dict package (its directory), hub. codebooks: of the language model, where there is a base.
    """
    return ReleasedCodec(base["package"], codebooks, base["hub"]) if base else Codec(path)


def _from_file(path, stored):
    """The EncodecModel that a package's codec file holds."""
    config, state = read_config(path, stored), read_state(path, stored)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from audiocraft.models.builders import get_compression_model

        try:
            config.device = "cpu"
            model = get_compression_model(config)
            model.load_state_dict(state)
        except Exception as error:  # of audiocraft's builders, which check little: about any
            reason = shorten(str(error).splitlines()[-1] if str(error) else type(error).__name__, 160)
            raise UserError(f"{path}: not a codec that audiocraft can build ({reason}); {AGAIN}") from None
    return model


def _from_hub(path, name, hub):
    """audiocraft's wrapper around the EnCodec that a package's codec file names."""
    if str(name).startswith("dac"):
        raise UserError(f"{path}: points to {name}, which is no EnCodec; take a package with an EnCodec")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from audiocraft.models.encodec import HFEncodecCompressionModel
        from transformers import EncodecModel

        return HFEncodecCompressionModel(load_weights(EncodecModel, name, hub))
