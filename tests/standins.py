"""What a user would download, made here with random weights: released packages, and a hub cache to use them offline.

    home/package/{state_dict.bin,compression_state_dict.bin}
    home/hub/models--t5-base/{refs/main,snapshots/<40 hex>/...}
    home/hub/models--facebook--encodec_32khz/...

audiocraft's own builders make the models from configs with the keys of the released ones, in `TOY` size for tests and
in the size of musicgen-small with `SMALL`. Tests and benchmarks alike build on this; HF_HOME=home is all that a process
of its own needs, `offline_hub(home)` is for one that runs already.
"""

import io
import logging
import os
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml

from noencore.files import atomic

REVISION = "5eed" * 10
T5, ENCODEC = "t5-base", "facebook/encodec_32khz"
CAPTIONS = [
    f"A {pace} {form} in {key} {mode}, played on the {instrument}."
    for pace in ("slow", "lively", "mournful", "bright")
    for form in ("reel", "jig", "air", "hornpipe", "waltz")
    for key in "ADEG"
    for mode in ("major", "minor", "dorian")
    for instrument in ("fiddle", "harp", "tin whistle", "flute", "button accordion")
]


@dataclass(frozen=True)
class Size:
    """Widths and depths; `filters` and `dimension` are the codec's. T5's states are as wide as t5-base's: 768."""

    dim: int
    layers: int
    heads: int
    card: int
    filters: int
    dimension: int
    t5_layers: int
    t5_heads: int
    t5_hidden: int
    t5_vocabulary: int


TOY = Size(32, 2, 4, 300, 4, 16, t5_layers=1, t5_heads=2, t5_hidden=64, t5_vocabulary=400)
SMALL = Size(1024, 24, 16, 2048, 64, 128, t5_layers=12, t5_heads=12, t5_hidden=3072, t5_vocabulary=32128)


def make_home(home, size=TOY, seed=0):
    """Write `home`/hub and `home`/package; return the latter's path."""
    home = Path(home)
    logging.getLogger("xformers").setLevel(logging.ERROR)  # its CUDA extensions do not load, and none is used
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        warnings.simplefilter("ignore")
        write_t5(home / "hub", size)
        write_encodec(home / "hub", size)
        with offline_hub(home):
            write_package(home / "package", size)
    return home / "package"


@contextmanager
def offline_hub(home):
    """Let this process, and those that it starts, find models in `home`/hub and nowhere else."""
    from huggingface_hub import constants

    before, inherited = constants.HF_HUB_CACHE, os.environ.get("HF_HOME")
    constants.HF_HUB_CACHE, os.environ["HF_HOME"] = str(Path(home) / "hub"), str(home)
    try:
        yield
    finally:
        constants.HF_HUB_CACHE = before
        os.environ.pop("HF_HOME") if inherited is None else os.environ.update(HF_HOME=inherited)


def model_config(size):
    """`xp.cfg` of the language model as a dict: what audiocraft's builders read, with the released values."""
    return {
        "device": "cuda",
        "dtype": "float16",
        "lm_model": "transformer_lm",
        "transformer_lm": {
            "dim": size.dim,
            "num_heads": size.heads,
            "num_layers": size.layers,
            "hidden_scale": 4,
            "n_q": 4,
            "card": size.card,
            "dropout": 0.0,
            "emb_lr": None,
            "activation": "gelu",
            "norm_first": True,
            "bias_ff": False,
            "bias_attn": False,
            "bias_proj": False,
            "past_context": None,
            "causal": True,
            "custom": False,
            "memory_efficient": True,
            "attention_as_float32": False,
            "layer_scale": None,
            "positional_embedding": "sin",
            "xpos": False,
            "checkpointing": "none",
            "weight_init": "gaussian",
            "depthwise_init": "current",
            "zero_bias_init": True,
            "norm": "layer_norm",
            "cross_attention": False,
            "qk_layer_norm": False,
            "qk_layer_norm_cross": False,
            "attention_dropout": None,
            "kv_repeat": 1,
        },
        "codebooks_pattern": {
            "modeling": "delay",
            "delay": {"delays": [0, 1, 2, 3], "flatten_first": 0, "empty_initial": 0},
        },
        "classifier_free_guidance": {"training_dropout": 0.3, "inference_coef": 3.0},
        "attribute_dropout": {},
        "fuser": {
            "cross_attention_pos_emb": False,
            "cross_attention_pos_emb_scale": 1,
            "sum": [],
            "prepend": [],
            "cross": ["description"],
            "input_interpolate": [],
        },
        "conditioners": {
            "args": {"merge_text_conditions_p": 0.25, "drop_desc_p": 0.5},
            "description": {
                "model": "t5",
                "t5": {"name": T5, "finetune": False, "word_dropout": 0.3, "normalize_text": False},
            },
        },
        "dataset": {"segment_duration": 30},
        "interleave_stereo_codebooks": {"use": False, "per_timestep": False},
        "compression_model_n_q": None,
        "sample_rate": 32000,
        "channels": 1,
    }


def codec_config(size):
    """`xp.cfg` of the codec: EnCodec at 32 kHz and 50 frames a second, with interpolations as in released files."""
    return {
        "device": "cuda",
        "sample_rate": 32000,
        "channels": 1,
        "compression_model": "encodec",
        "encodec": {
            "autoencoder": "seanet",
            "quantizer": "rvq",
            "sample_rate": "${sample_rate}",
            "channels": "${channels}",
            "causal": False,
            "renormalize": False,
        },
        "seanet": {
            "dimension": size.dimension,
            "channels": "${channels}",
            "causal": False,
            "n_filters": size.filters,
            "n_residual_layers": 1,
            "ratios": [8, 5, 4, 4],
            "activation": "ELU",
            "activation_params": {"alpha": 1.0},
            "norm": "weight_norm",
            "norm_params": {},
            "kernel_size": 7,
            "residual_kernel_size": 3,
            "last_kernel_size": 7,
            "dilation_base": 2,
            "pad_mode": "constant",
            "true_skip": True,
            "compress": 2,
            "lstm": 2,
            "disable_norm_outer_blocks": 0,
            "encoder": {},
            "decoder": {"trim_right_ratio": 1.0, "final_activation": None, "final_activation_params": None},
        },
        "rvq": {
            "n_q": 4,
            "bins": size.card,
            "q_dropout": False,
            "decay": 0.99,
            "kmeans_init": True,
            "kmeans_iters": 50,
            "threshold_ema_dead_code": 2,
            "orthogonal_reg_weight": 0.0,
            "orthogonal_reg_active_codes_only": False,
        },
    }


def write_package(directory, size=TOY):
    """Write a package with weights from torch's global generator, the language model's in fp16 as released.

    T5 must be in the hub cache: audiocraft cannot build a model without it.
    """
    from audiocraft.models import builders
    from omegaconf import OmegaConf

    directory, config = Path(directory), model_config(size)
    build = OmegaConf.create({**config, "device": "cpu", "dtype": "float32"})
    del build.conditioners.args
    state = {name: tensor.half() for name, tensor in builders.get_lm_model(build).state_dict().items()}
    write_file(directory / "state_dict.bin", state, config)

    config = codec_config(size)
    codec = builders.get_compression_model(OmegaConf.create({**config, "device": "cpu"}))
    codebooks = [layer._codebook for layer in codec.quantizer.vq.layers]
    _draw_codebooks(codec.encoder, codec.quantizer.vq.layers, [book.embed for book in codebooks])
    for book in codebooks:
        book.inited.fill_(1)  # or the first batch in training mode would draw others
    write_file(directory / "compression_state_dict.bin", codec.state_dict(), config)


def write_file(path, state, config):
    """Write one file of a package, from its weights and its config as a dict."""
    write_bin(path, {"best_state": state, "xp.cfg": yaml.safe_dump(config), "version": "1.3.0", "exported": True})


def write_bin(path, content):
    with atomic(path) as temporary:
        torch.save(content, temporary)


def point_to(directory, name):
    """Make a package's codec file the pointer form."""
    pointer = {"pretrained": name, "exported": True, "version": "1.3.0"}
    write_bin(Path(directory) / "compression_state_dict.bin", pointer)


def write_t5(hub, size):
    """An encoder and its tokenizer, the latter trained on `CAPTIONS`, as t5-base in a hub cache."""
    import sentencepiece
    from transformers import T5Config, T5EncoderModel

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CAPTIONS),
        model_writer=model,
        vocab_size=200,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    snapshot = _snapshot(hub, T5)
    (snapshot / "spiece.model").write_bytes(model.getvalue())
    config = T5Config(
        d_model=768,
        d_kv=64,
        d_ff=size.t5_hidden,
        num_layers=size.t5_layers,
        num_heads=size.t5_heads,
        vocab_size=size.t5_vocabulary,
    )
    T5EncoderModel(config).save_pretrained(snapshot)


def write_encodec(hub, size):
    """An EnCodec in transformers' format as facebook/encodec_32khz in a hub cache."""
    from transformers import EncodecConfig, EncodecModel

    config = EncodecConfig(
        target_bandwidths=[2.2],
        sampling_rate=32000,
        audio_channels=1,
        normalize=False,
        hidden_size=size.dimension,
        codebook_dim=size.dimension,
        codebook_size=2048,
        num_filters=size.filters,
        num_lstm_layers=2,
        upsampling_ratios=[8, 5, 4, 4],
        norm_type="weight_norm",
        use_causal_conv=False,
        use_conv_shortcut=False,
    )
    model = EncodecModel(config).eval()
    layers = model.quantizer.layers
    _draw_codebooks(model.encoder, layers, [layer.codebook.embed for layer in layers])
    model.save_pretrained(_snapshot(hub, ENCODEC))


@torch.no_grad()
def _draw_codebooks(encoder, layers, embeddings):
    """Draw codebooks as wide as what is left to quantize of noise that is loud and soft by turns, layer by layer."""
    rest = encoder(torch.randn(4, 1, 32000) * torch.rand(4, 1, 50).repeat_interleave(640, -1))
    for layer, embedding in zip(layers, embeddings):
        embedding.normal_().mul_(rest.std((0, 2))).add_(rest.mean((0, 2)))
        rest = rest - layer.decode(layer.encode(rest))


def _snapshot(hub, repository):
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    folder = Path(hub) / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    (folder / "refs" / "main").write_text(REVISION)
    snapshot = folder / "snapshots" / REVISION
    snapshot.mkdir(parents=True, exist_ok=True)
    return snapshot
