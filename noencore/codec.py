"""The codec: audiocraft's EnCodec (SEANet and a residual vector quantizer) as a file of ours, audio to tokens and back.

audiocraft is imported here and nowhere else in the library; the import takes seconds, so only the jobs that encode or
decode audio import this module.
"""

import json
import os
import warnings
from dataclasses import asdict, dataclass

import numpy as np
import torch

from noencore.errors import UserError
from noencore.files import read_tensors, write_tensors

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
            self.config = CodecConfig(**{**fields, "ratios": tuple(fields["ratios"])})
            self.model = build(self.config)
            self.model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in tensors.items()})
        except (KeyError, TypeError, RuntimeError):
            raise UserError(f"{path}: not a codec of ours; make one with `--configfile presets/codec.yaml`") from None
        self.model.eval()

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
