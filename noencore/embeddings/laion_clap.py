"""LAION's CLAP (Wu et al., 2023, arXiv 2211.06687): audio and captions in one space of 512 dimensions, unit vectors.

The released checkpoint (HTSAT-base, no fusion; the one of MusicGen's scores) goes into the networks of transformers:
its `ClapAudioModel` and `RobertaModel`. The package laion-clap is not imported. It crops what is longer than 10 s at
random, fetches three tokenizers when it is imported and RoBERTa's weights when it starts, unpickles anything, and wants
to be told which HTSAT a file holds. Here windows are fixed, the tokenizer is two files beside the checkpoint, and all
sizes are read from the checkpoint's tensors.

A clip shorter than 10 s is repeated as often as it fits and filled up with zeros, the model's own rule ("repeatpad");
only the zeros count as padding. The wave is not rounded to 16 bits first, as for MusicGen's scores.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from noencore.embeddings import Embedded, EmbeddingModel, TextAudioModel, fixed_windows
from noencore.embeddings.weights import (
    CLAP,
    ROBERTA_MERGES,
    ROBERTA_VOCABULARY,
    read_checkpoint,
    verified_file,
    wrong_checkpoint,
)
from noencore.logs import log

NAME = "laion_clap"
SAMPLE_RATE, WINDOW = 48_000, 480_000
FRAME_HOP = 480
MAX_TOKENS = 77
TEXT_HEAD = 64  # width of a head of RoBERTa, which no tensor tells
AUDIO_BATCH, TEXT_BATCH = 4, 32
PROBE_CAPTIONS = (  # as different as music gets: a text tower that hardly tells them apart has collapsed
    "A slow solo piano piece in a minor key, recorded in a large hall.",
    "Fast thrash metal with distorted guitars, double bass drums and screaming.",
    "An Irish reel played on a fiddle and a tin whistle.",
    "A deep house track with a four-on-the-floor beat and a warm synth pad.",
    "A choir sings a Renaissance motet without instruments.",
    "Old-school hip hop: a sampled drum break, scratching and two rappers.",
    "An acoustic guitar lullaby with a soft female voice.",
    "A big band plays uptempo swing with a loud brass section.",
    "Indian classical music with sitar, tabla and a tanpura drone.",
    "Dark ambient noise without rhythm or melody.",
    "A reggae song with an off-beat organ and a heavy bass line.",
    "Chiptune music of an eight-bit video game.",
)

RENAMED = {  # parts of a tensor's name in the checkpoint and in transformers
    "audio_branch.": "audio_encoder.",
    ".bn0.": ".batch_norm.",
    ".attn.proj.": ".attention.output.dense.",
    ".attn.": ".attention.self.",
    ".mlp.fc1.": ".intermediate.dense.",
    ".mlp.fc2.": ".output.dense.",
    ".norm1.": ".layernorm_before.",
    ".norm2.": ".layernorm_after.",
}
NOT_IN_TRANSFORMERS = ("spectrogram_extractor", "logmel_extractor", "tscam_conv", "head.", "attn_mask")


def load(weights=None):
    """Load the audio side from `weights`/laion_clap. Raises UserError, naming the file, where it is absent or wrong."""
    path, sha256 = verified_file(NAME, CLAP, weights)
    state = read_state(path)
    with wrong_checkpoint(path, CLAP):
        network, filters = audio_tower(state), state["audio_branch.logmel_extractor.melW"].clone()
        project = projection(state, "audio_projection.")

    @torch.inference_mode()
    def embed(wave):
        windows, padded = fixed_windows(repeated(wave), WINDOW, WINDOW)
        parts = torch.from_numpy(windows).split(AUDIO_BATCH)
        found = [project(network(log_mel(part, filters)).pooler_output) for part in parts]
        return Embedded(F.normalize(torch.cat(found), dim=-1).numpy(), padded)

    return EmbeddingModel(
        NAME, SAMPLE_RATE, WINDOW / SAMPLE_RATE, WINDOW / SAMPLE_RATE, project[-1].out_features, sha256, embed
    )


def load_text(weights=None):
    """Load the text side from `weights`/laion_clap. Errors as in `load`.

    Captions of more than 77 tokens are cut there, as in the model's training, and a warning counts them.
    """
    path, sha256 = verified_file(NAME, CLAP, weights)
    tokenizer = load_tokenizer(weights)
    state = read_state(path)
    with wrong_checkpoint(path, CLAP):
        network, project = text_tower(state), projection(state, "text_projection.")

    @torch.inference_mode()
    def embed_text(captions):
        if cut := count_cut(tokenizer, captions):
            log.warning("%s: %d of %d captions are longer than %d tokens: cut", NAME, cut, len(captions), MAX_TOKENS)
        found = [torch.zeros(0, project[-1].out_features)]
        for start in range(0, len(captions), TEXT_BATCH):
            part = captions[start : start + TEXT_BATCH]
            tokens = tokenizer(part, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
            pooled = network(tokens["input_ids"], tokens["attention_mask"]).pooler_output
            found.append(F.normalize(project(pooled), dim=-1))
        return torch.cat(found).numpy()

    return TextAudioModel(NAME, NAME, "embeddings", False, sha256, embed_text)


# Sound to log-mel windows


def repeated(wave):
    """A wave shorter than a window as often as it fits into one; any other, and an empty one, as it is."""
    return np.tile(wave, max(1, WINDOW // max(1, len(wave))))


def log_mel(waves, filters):
    """Log-mel power in dB of waves [B, WINDOW], with the filters of the checkpoint: float32 [B, 1, n_frames, n_mels].

    filters: float32 [n_fft // 2 + 1, n_mels].
    """
    n_fft = 2 * (len(filters) - 1)
    spectrum = torch.stft(waves, n_fft, FRAME_HOP, window=torch.hann_window(n_fft), return_complex=True)
    power = spectrum.abs().square().transpose(1, 2) @ filters
    return 10 * torch.log10(power.clamp(min=1e-10))[:, None]


# The checkpoint


def read_state(path):
    """The tensors of a checkpoint's `state_dict` by name, without the prefix of parallel training; mapped, not read."""
    content = read_checkpoint(path, CLAP)
    with wrong_checkpoint(path, CLAP):
        return {name.removeprefix("module."): tensor for name, tensor in content["state_dict"].items()}


def audio_tower(state):
    """HTSAT as transformers' ClapAudioModel, of the sizes that the tensors of `state` have."""
    from transformers import ClapAudioConfig, ClapAudioModel

    blocks = [name.split(".") for name in state if name.endswith(".attn.relative_position_bias_table")]
    stages = sorted({int(parts[2]) for parts in blocks})
    depths = [sum(int(parts[2]) == stage for parts in blocks) for stage in stages]
    tables = [state[f"audio_branch.layers.{stage}.blocks.0.attn.relative_position_bias_table"] for stage in stages]
    width = len(state["audio_branch.patch_embed.proj.bias"])
    config = ClapAudioConfig(
        patch_embeds_hidden_size=width,
        hidden_size=len(state["audio_branch.norm.bias"]),
        depths=depths,
        num_attention_heads=[table.shape[1] for table in tables],
        num_mel_bins=len(state["audio_branch.bn0.weight"]),
        window_size=(round(len(tables[0]) ** 0.5) + 1) // 2,
    )
    return filled(ClapAudioModel(config), dict(renamed(state)))


def renamed(state):
    """The audio tensors of `state` as (name, tensor) of transformers, whose query, key and value are apart."""
    for name, tensor in state.items():
        if not name.startswith("audio_branch.") or any(part in name for part in NOT_IN_TRANSFORMERS):
            continue
        for old, new in RENAMED.items():
            name = name.replace(old, new)
        if ".qkv." in name:
            for part, third in zip(("query", "key", "value"), tensor.chunk(3)):
                yield name.replace("qkv", part), third
        else:
            yield name, tensor


def text_tower(state):
    """RoBERTa of the sizes that the tensors of `state` have."""
    from transformers import RobertaConfig, RobertaModel

    prefix = "text_branch."
    state = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    state.pop("embeddings.position_ids", None)  # a counter that transformers no longer stores
    vocabulary, width = state["embeddings.word_embeddings.weight"].shape
    config = RobertaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=len({name.split(".")[2] for name in state if name.startswith("encoder.layer.")}),
        num_attention_heads=width // TEXT_HEAD,
        intermediate_size=len(state["encoder.layer.0.intermediate.dense.bias"]),
        max_position_embeddings=len(state["embeddings.position_embeddings.weight"]),
        type_vocab_size=len(state["embeddings.token_type_embeddings.weight"]),
        layer_norm_eps=1e-5,
    )
    return filled(RobertaModel(config), state)


def projection(state, prefix):
    """The two layers from a tower into the common space."""
    shape = state[f"{prefix}0.weight"].shape
    network = nn.Sequential(nn.Linear(shape[1], shape[0]), nn.ReLU(), nn.Linear(shape[0], shape[0]))
    return filled(network, {name.removeprefix(prefix): state[name] for name in state if name.startswith(prefix)})


def filled(network, state):
    """A network with the tensors of `state`, all of them and no others, ready to run."""
    network.load_state_dict(state)
    return network.eval()


# Captions to tokens


def load_tokenizer(weights=None):
    """RoBERTa's tokenizer from its two files in `weights`/laion_clap. Errors as in `load`."""
    from transformers import RobertaTokenizer

    vocabulary, _ = verified_file(NAME, ROBERTA_VOCABULARY, weights)
    merges, _ = verified_file(NAME, ROBERTA_MERGES, weights)
    return RobertaTokenizer(vocab=str(vocabulary), merges=str(merges))


def count_cut(tokenizer, captions):
    """How many of the captions have more than `MAX_TOKENS` tokens, the two at the ends counted."""
    return sum(len(tokens) > MAX_TOKENS for tokens in tokenizer(captions)["input_ids"]) if len(captions) else 0
