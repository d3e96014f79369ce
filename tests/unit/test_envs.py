import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "workflow" / "tools" / "make_envs.py"
ENVS = sorted(path.stem for path in (ROOT / "envs").glob("*.yaml"))

spec = importlib.util.spec_from_file_location("make_envs", TOOL)
make_envs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_envs)


def test_envs_are_in_step_with_the_lock():
    check = subprocess.run([sys.executable, TOOL, "--check"], capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stderr


def test_every_package_of_the_lock_is_read():
    lock = (ROOT / "requirements.txt").read_text()
    versions, brings = make_envs.read_lock(lock)
    assert len(versions) == len(re.findall(r"^\S+==", lock, re.MULTILINE))
    assert set(brings) <= set(versions)
    assert "nvidia-cublas" in make_envs.closure(["torch"], brings)


def test_closure_follows_both_forms_of_via():
    lock = "a==1 \\\n    --hash=sha256:0\n    # via b\nb==2\n    # via\n    #   -r one.in\n    #   c\nc==3\n"
    versions, brings = make_envs.read_lock(lock)
    assert versions == {"a": "1", "b": "2", "c": "3"}
    assert make_envs.closure(["c"], brings) == ["a", "b", "c"]


def test_envs_are_conda_files_of_pinned_packages():
    for env in ENVS:
        content = yaml.safe_load((ROOT / "envs" / f"{env}.yaml").read_text())
        assert sorted(content) == ["channels", "dependencies"]
        assert content["channels"] == ["conda-forge"]
        python, pip, packages = content["dependencies"]
        assert (python, pip) == ("python=3.11", "pip")
        assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in packages["pip"])


def test_the_lock_names_no_index_and_no_path():
    lock = (ROOT / "requirements.txt").read_text()
    assert not re.search(r"https?:|file:|@ |--index|--find-links|--extra|^[./]", lock, re.MULTILINE)


def test_every_rule_names_an_env_that_exists():
    for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")):
        text = path.read_text()
        for block in re.split(r"^(?=(?:rule|checkpoint) \w+:)", text, flags=re.MULTILINE)[1:]:
            name = block.split(":")[0]
            scripted = re.search(r"^ +(?:script|shell|run):", block, re.MULTILINE)
            named = re.search(r'^ +conda:\s+"\.\./\.\./envs/(\w+)\.yaml"', block, re.MULTILINE)
            assert named or not scripted, f"{path.name}: {name} names no env"
            assert named is None or named[1] in ENVS, f"{path.name}: {name} names an env that does not exist"
