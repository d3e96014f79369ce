"""The network of our own codec: EnCodec (Défossez et al. 2022, arXiv 2210.13438) over the tensors of a codec's file.

SEANet's encoder and decoder (Tagliasacchi et al. 2020, arXiv 2009.02095) around a residual vector quantizer (Zeghidour
et al. 2021, arXiv 2107.03312, algorithm 1), under the names of audiocraft 1.3.0 (modules/seanet.py,
quantization/core_vq.py) and in the one shape that `noencore.codec.build` gives it: padded with zeros, not causal,
without LSTM and weight norm. It is written out here because importing audiocraft takes longer than most jobs need to
encode or decode.
"""

import torch
import torch.nn.functional as F


class Seanet:
    """The encoder, the decoder and the codebooks of a file, in fp32.

    tensors: dict of tensors by name. Raises KeyError or RuntimeError, here or when it is used, where some are missing
    or do not fit.
    """

    def __init__(self, tensors):
        self.tensors = {name: tensor.float() for name, tensor in tensors.items() if tensor.is_floating_point()}
        upsamplings = {int(n.split(".")[2]): t.shape[2] // 2 for n, t in tensors.items() if n.endswith("convtr.weight")}
        self.ratios = tuple(upsamplings[layer] for layer in sorted(upsamplings))  # the encoder has them reversed
        layers = range(sum(name.endswith("._codebook.embed") for name in tensors))
        self.codebooks = torch.stack([self.tensors[f"quantizer.vq.layers.{layer}._codebook.embed"] for layer in layers])

    @property
    def shape(self):
        """(filters, dimension, ratios, codebooks, card)"""
        codebooks, card, dimension = self.codebooks.shape
        return len(self.tensors["encoder.model.0.conv.conv.weight"]), dimension, self.ratios, codebooks, card

    def latents(self, wave):
        """[1, 1, n_samples] -> [1, dimension, n_samples / product(ratios)]"""
        x = self._convolution(wave, "encoder.model.0")
        for stage, ratio in enumerate(reversed(self.ratios)):
            block = 1 + 3 * stage
            x = self._residual(x, f"encoder.model.{block}")
            x = self._convolution(F.elu(x), f"encoder.model.{block + 2}", ratio)
        return self._convolution(F.elu(x), f"encoder.model.{3 * len(self.ratios) + 2}")

    def wave(self, latents):
        """[1, dimension, T] -> [1, 1, T * product(ratios)]"""
        x = self._convolution(latents, "decoder.model.0")
        for stage, ratio in enumerate(self.ratios):
            block = 2 + 3 * stage
            x = self._upsampling(F.elu(x), f"decoder.model.{block}", ratio)
            x = self._residual(x, f"decoder.model.{block + 1}")
        return self._convolution(F.elu(x), f"decoder.model.{3 * len(self.ratios) + 2}")

    def encode(self, wave):
        """[1, 1, n_samples] -> codes [1, K, T], and None: audio is not scaled."""
        rest, codes = self.latents(wave), []
        for codebook in self.codebooks:
            frames = rest[0].T
            distances = frames.pow(2).sum(1, keepdim=True) - 2 * frames @ codebook.T + codebook.pow(2).sum(1)
            codes.append(distances.argmin(1))
            rest = rest - codebook[codes[-1]].T
        return torch.stack(codes)[None], None

    def decode(self, codes):
        """[1, K, T] -> [1, 1, T * product(ratios)]"""
        return self.wave(sum(codebook[row].T for codebook, row in zip(self.codebooks, codes[0]))[None])

    def _residual(self, x, name):
        inner = self._convolution(F.elu(x), f"{name}.block.1")
        return x + self._convolution(F.elu(inner), f"{name}.block.3")

    def _convolution(self, x, name, stride=1):
        kernel, bias = (self.tensors[f"{name}.conv.conv.{part}"] for part in ("weight", "bias"))
        padding = kernel.shape[2] - stride
        return F.conv1d(F.pad(x, (padding - padding // 2, padding // 2)), kernel, bias, stride)

    def _upsampling(self, x, name, stride):
        kernel, bias = (self.tensors[f"{name}.convtr.convtr.{part}"] for part in ("weight", "bias"))
        trimmed = kernel.shape[2] - stride
        x = F.conv_transpose1d(x, kernel, bias, stride)
        return x[..., trimmed - trimmed // 2 : x.shape[-1] - trimmed // 2]
