"""`python -m noencore.musicgen DIRECTORY`: agreement, disagreement and mistakes have their exit statuses."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from standins import REVISION, offline_hub

from noencore.musicgen import __main__ as command

ROOT = Path(__file__).parents[3]


@pytest.fixture
def package(released_home, hub):
    return str(released_home / "package")


@pytest.fixture
def tamper(monkeypatch):
    """Run a function on our model as soon as it is loaded; audiocraft's stays what it is."""

    def put(change):
        load = command.load_released

        def tampered(directory):
            model = load(directory)
            with torch.no_grad():
                change(model)
            return model

        monkeypatch.setattr(command, "load_released", tampered)

    return put


def test_engines_that_agree(package, capsys):
    assert command.main([package]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == f"{package}: 0.1 M parameters, 2 layers of 32"
    assert lines[1] == "text: states of t5-base"
    assert lines[2].startswith("logits: largest difference ")
    assert lines[3] == "greedy tokens: 400 of 400 equal (100.0%) over 100 steps, CFG 3"
    assert lines[4].startswith("speed: ")
    assert lines[5:] == ["the engines agree"]
    assert err == ""


def test_without_t5_random_states_stand_in_and_the_output_says_so(package, tmp_path, capsys):
    with offline_hub(tmp_path):
        assert command.main([package]) == 0
    text = capsys.readouterr().out.splitlines()[1]
    assert text.startswith("text: RANDOM states stand in for those of t5-base, so the text encoder is not compared")
    assert "run `hf download t5-base`" in text


def test_a_package_is_found_by_its_name(released_home, hub, tmp_path, capsys):
    shutil.copytree(hub, tmp_path / "hub")
    folder = tmp_path / "hub" / "models--someone--music"
    shutil.copytree(released_home / "package", folder / "snapshots" / REVISION)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(REVISION)
    with offline_hub(tmp_path):
        assert command.main(["someone/music"]) == 0
    assert capsys.readouterr().out.startswith(str(folder / "snapshots" / REVISION))


@pytest.mark.parametrize("with_t5", [True, False])
@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.linears[1].weight[7].mul_(1.05),
        lambda model: model.out_norm.weight.mul_(1 + 3e-4),
        lambda model: model.transformer.layers[1].cross_attention.out_proj.weight.mul_(0.99),
        lambda model: model.condition_provider.conditioners.description.output_proj.bias.add_(0.05),
        lambda model: model.positions[50].mul_(1.05),
        lambda model: model.linears[0].weight[0].fill_(torch.nan),
    ],
)
def test_another_model_disagrees(package, tamper, tmp_path, capsys, change, with_t5):
    tamper(change)
    if with_t5:
        assert command.main([package]) == 1
    else:
        with offline_hub(tmp_path):
            assert command.main([package]) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("the engines DISAGREE: logits")


def test_one_other_token_disagrees(package, monkeypatch, capsys):
    generate = command.generate

    def tampered(*arguments, **options):
        codes = generate(*arguments, **options)
        codes[0, 2, -1] = (codes[0, 2, -1] + 1) % 300
        return codes

    monkeypatch.setattr(command, "generate", tampered)
    assert command.main([package]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[3] == "greedy tokens: 399 of 400 equal (99.8%) over 100 steps, CFG 3"
    assert lines[-1] == "the engines DISAGREE: tokens"


def test_mistakes_are_one_line(tmp_path, released_home, capsys):
    assert command.main([str(tmp_path / "nowhere")]) == 2
    assert command.main([str(released_home)]) == 2
    (tmp_path / "state_dict.bin").write_bytes(b"no package")
    assert command.main([str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("error: ") for line in lines)
    with pytest.raises(SystemExit) as caught:
        command.main([])
    assert caught.value.code == 2


def run(*arguments, **environment):
    variables = {key: value for key, value in os.environ.items() if not key.startswith("HF_")} | environment
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)


def test_the_command_is_quiet_and_needs_no_network(released_home):
    child = run("-m", "noencore.musicgen", str(released_home / "package"), HF_HOME=str(released_home))
    assert (child.returncode, child.stderr) == (0, "")
    assert child.stdout.endswith("the engines agree\n")


def test_the_import_is_cheap():
    code = "import noencore.musicgen, sys; assert not {'audiocraft', 'transformers', 'torch'} & set(sys.modules)"
    assert run("-c", code).returncode == 0
