"""A released package: there and back, what is kept of it, and what is refused."""

import shutil

import pytest
import torch
import yaml
from standins import TOY, model_config, point_to, write_bin

from noencore.errors import UserError
from noencore.hub import read_package
from noencore.musicgen.model import ModelConfig
from noencore.musicgen.released import load_released, save_released, text_encoder_name

CONFIG = ModelConfig(dim=32, layers=2, heads=4, card=300, n_q=4, text_dim=768)
FILES = ("state_dict.bin", "compression_state_dict.bin")


@pytest.fixture
def package(released_home, tmp_path):
    """A package of its own for a test that changes it."""
    shutil.copytree(released_home / "package", tmp_path / "base")
    return tmp_path / "base"


@pytest.fixture
def model(package):
    return load_released(package)


def edit(package, changes=None, **content):
    """Set dotted keys of a package's xp.cfg, then keys of its file."""
    path = package / "state_dict.bin"
    stored = read_package(path)
    config = yaml.safe_load(stored["xp.cfg"])
    for key, value in (changes or {}).items():
        *parents, last = key.split(".")
        node = config
        for parent in parents:
            node = node[parent]
        node[last] = value
    state = {name: tensor.clone() for name, tensor in stored["best_state"].items()}
    write_bin(path, {**stored, "best_state": state, "xp.cfg": yaml.safe_dump(config), **content})


def test_sizes_come_from_the_config_and_weights_are_read_in_fp32(package, model):
    assert model.config == CONFIG
    stored = read_package(package / "state_dict.bin")["best_state"]
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}
    assert stored.keys() == model.state_dict().keys()
    for name, parameter in model.named_parameters():
        assert parameter.dtype == torch.float32
        assert parameter.requires_grad
        assert torch.equal(parameter, stored[name].float())


def test_the_text_encoder_is_the_packages(package):
    assert text_encoder_name(package) == "t5-base"
    edit(package, {"conditioners.description.t5.name": "google/flan-t5-base"})
    assert text_encoder_name(package) == "google/flan-t5-base"


@pytest.mark.parametrize(
    "changes",
    [
        {"transformer_lm.hidden_scale": 4.0},
        {"transformer_lm.card": "${cards}", "cards": 300},  # OmegaConf's interpolation
        {"codebooks_pattern": {"modeling": None}, "transformer_lm.q_modeling": "delay"},  # an older form
        {"codebooks_pattern.delay.delays": None},
        {"interleave_stereo_codebooks": None},
        {"compression_model_n_q": 4},
        {"conditioners.args": {}},
    ],
)
def test_other_ways_to_say_the_same_are_read(package, changes):
    edit(package, changes)
    assert load_released(package).config == CONFIG


def test_an_unchanged_model_gives_the_package_back(package, model, tmp_path):
    counts = save_released(model, package, tmp_path / "out")
    assert counts == {"weights": sum(p.numel() for p in model.parameters()), "changed": 0, "undone_by_fp16": 0}
    before, after = (read_package(folder / "state_dict.bin") for folder in (package, tmp_path / "out"))
    states = before.pop("best_state"), after.pop("best_state")
    assert before == after
    assert list(states[0]) == list(states[1])
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert {tensor.dtype for tensor in states[1].values()} == {torch.float16}


def test_all_but_the_weights_stays_verbatim(package, model, tmp_path):
    text = "# a comment\n" + read_package(package / "state_dict.bin")["xp.cfg"] + "mine: {a: [1, 2]}\n"
    edit(package, **{"xp.cfg": text, "version": "1.4.0a2", "note": {"by": ["me"]}})
    save_released(model, package, tmp_path / "out")
    stored = read_package(tmp_path / "out" / "state_dict.bin")
    assert stored.pop("best_state").keys() == model.state_dict().keys()
    assert stored == {"xp.cfg": text, "version": "1.4.0a2", "exported": True, "note": {"by": ["me"]}}
    assert (tmp_path / "out" / FILES[1]).read_bytes() == (package / FILES[1]).read_bytes()


def test_an_edit_below_the_step_of_fp16_is_kept_and_counted(package, model, tmp_path):
    with torch.no_grad():
        model.out_norm.weight[0] += 1e-6
        model.out_norm.weight[1] += 0.5
        model.linears[2].weight[3, 4] += 1e-3
    assert model.out_norm.weight[0] != 1
    counts = save_released(model, package, tmp_path / "out")
    assert (counts["changed"], counts["undone_by_fp16"]) == (3, 1)
    loaded = load_released(tmp_path / "out").state_dict()
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in model.state_dict().items())
    stored = read_package(tmp_path / "out" / "state_dict.bin")["best_state"]
    full = {name for name, tensor in stored.items() if tensor.dtype == torch.float32}
    assert full == {"out_norm.weight", "linears.2.weight"}


def test_the_same_model_gives_the_same_bytes(package, model, tmp_path):
    for name in ("one", "two"):
        save_released(model, package, tmp_path / name)
    for file in FILES:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == sorted(FILES)


def test_a_package_can_be_edited_again(package, model, tmp_path):
    save_released(model, package, tmp_path / "one")
    again = load_released(tmp_path / "one")
    with torch.no_grad():
        again.emb[0].weight.mul_(1.001)
    save_released(again, tmp_path / "one", tmp_path / "two")
    assert torch.equal(load_released(tmp_path / "two").emb[0].weight, again.emb[0].weight)


def test_the_codec_may_be_a_pointer(package, model, tmp_path):
    point_to(package, "facebook/encodec_32khz")
    save_released(model, package, tmp_path / "out")
    assert read_package(tmp_path / "out" / FILES[1])["pretrained"] == "facebook/encodec_32khz"


def test_what_cannot_be_saved_is_refused_and_leaves_nothing(package, model, tmp_path):
    with pytest.raises(UserError, match="is the package that is being edited"):
        save_released(model, package, tmp_path / "base" / ".." / "base")
    (package / FILES[1]).rename(package / "elsewhere")
    with pytest.raises(UserError, match=r"compression_state_dict\.bin: missing"):
        save_released(model, package, tmp_path / "out")
    (package / "elsewhere").rename(package / FILES[1])
    state = read_package(package / "state_dict.bin")["best_state"]
    edit(package, best_state={**state, "linears.0.weight": state["linears.0.weight"][1:].clone()})
    with pytest.raises(UserError, match="and the model is a ModelConfig"):
        save_released(model, package, tmp_path / "out")
    kept = {name: tensor.clone() for name, tensor in state.items() if "layers.1" not in name}
    edit(package, {"transformer_lm.num_layers": 1}, best_state=kept)
    with pytest.raises(UserError, match=r"holds a ModelConfig\(dim=32, layers=1.*, and the model is a ModelConfig"):
        save_released(model, package, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"interleave_stereo_codebooks.use": True}, "a stereo package"),
        ({"conditioners.self_wav": {"model": "chroma_stem"}}, "a melody or style package .*self_wav"),
        ({"conditioners.self_wav": {"model": "style"}}, "a melody or style package .*self_wav"),
        ({"lm_model": "transformer_lm_magnet"}, "no autoregressive package"),
        ({"conditioners.description.model": "lut"}, "conditioners.description.model is 'lut'"),
        ({"conditioners": None}, "conditioners.description.model is None"),
        ({"conditioners.description.t5.finetune": True}, "finetune is True"),
        ({"conditioners.description.t5.normalize_text": True}, "normalize_text is True"),
        ({"fuser.cross": [], "fuser.prepend": ["description"]}, r"fuser.cross is \[\]"),
        ({"fuser.sum": ["description"]}, "fuser.sum"),
        ({"fuser.cross_attention_pos_emb": True}, "cross_attention_pos_emb"),
        ({"codebooks_pattern.modeling": "parallel"}, "modeling is 'parallel'"),
        ({"codebooks_pattern.delay.delays": [0, 0, 1, 1]}, r"delays is \[0, 0, 1, 1\], not \[0, 1, 2, 3\]"),
        ({"codebooks_pattern.delay.delays": [0, 2, 4, 6]}, r"delays is \[0, 2, 4, 6\], not"),
        ({"codebooks_pattern.delay.flatten_first": 2}, "flatten_first is 2"),
        ({"compression_model_n_q": 8}, "compression_model_n_q is 8, not 4"),
        ({"transformer_lm.norm_first": False}, "norm_first is False"),
        ({"transformer_lm.bias_attn": True}, "bias_attn is True"),
        ({"transformer_lm.bias_ff": None}, "bias_ff is True"),  # audiocraft's default
        ({"transformer_lm.positional_embedding": "rope"}, "positional_embedding is 'rope'"),
        ({"transformer_lm.qk_layer_norm": True}, "qk_layer_norm is True"),
        ({"transformer_lm.kv_repeat": 4}, "kv_repeat is 4"),
    ],
)
def test_what_the_engine_does_not_compute_is_refused(package, changes, message):
    edit(package, changes)
    with pytest.raises(
        UserError, match=rf"state_dict\.bin: .*{message}.*; take a mono text-to-music package"
    ) as caught:
        load_released(package)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"transformer_lm.dim": 64}, "best_state does not fit xp.cfg"),
        ({"transformer_lm.num_layers": 3}, "best_state does not fit xp.cfg"),
        ({"transformer_lm.num_layers": 1}, "best_state does not fit xp.cfg"),
        ({"transformer_lm.card": 299}, "best_state does not fit xp.cfg"),
        ({"transformer_lm.hidden_scale": 2}, "best_state does not fit xp.cfg"),
        ({"transformer_lm.num_heads": 5}, "dim 32 is not a multiple of 2 x heads"),
        ({"transformer_lm.num_heads": None}, "heads is None; give a whole number"),
        ({"transformer_lm.hidden_scale": 1.5}, "hidden_scale is 1.5; give a whole number"),
        ({"transformer_lm.dim": "${nowhere}"}, "transformer_lm.dim cannot be read"),
        ({"transformer_lm": [1]}, "transformer_lm.dim cannot be read"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(package, changes, message):
    edit(package, changes)
    with pytest.raises(UserError, match=rf"state_dict\.bin: .*{message}") as caught:
        load_released(package)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["missing", "too many", "other shape", "no projection"])
def test_weights_that_do_not_fit_are_refused(package, damage):
    state = {name: tensor.clone() for name, tensor in read_package(package / "state_dict.bin")["best_state"].items()}
    if damage == "missing":
        del state["transformer.layers.1.norm_cross.weight"]
    elif damage == "too many":
        state["transformer.layers.0.self_attn.in_proj_bias"] = torch.zeros(96)
    elif damage == "other shape":
        state["linears.3.weight"] = state["linears.3.weight"][:-1].clone()
    else:
        del state["condition_provider.conditioners.description.output_proj.weight"]
    edit(package, best_state=state)
    with pytest.raises(UserError, match=r"state_dict\.bin: best_state ") as caught:
        load_released(package)
    assert "\n" not in str(caught.value)


def test_files_that_are_missing_damaged_or_foreign_are_named(package):
    path = package / "state_dict.bin"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"state_dict\.bin: not tensors and text"):
        load_released(package)
    write_bin(path, {"best_state": {"a": torch.ones(1)}, "xp.cfg": "word"})
    with pytest.raises(UserError, match=r"state_dict\.bin: no autoregressive package"):
        load_released(package)
    path.unlink()
    with pytest.raises(UserError, match=r"base: holds no state_dict\.bin"):
        load_released(package)


def test_the_configs_of_the_standins_are_what_was_read(package):
    assert yaml.safe_load(read_package(package / "state_dict.bin")["xp.cfg"]) == model_config(TOY)
