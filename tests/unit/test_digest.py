import os
import subprocess
import sys
from pathlib import Path

import pytest

from noencore import digest
from noencore.errors import UserError

ROOT = Path(__file__).parents[2]
FILES = {
    "noencore/__init__.py": '"""The package."""\n',
    "noencore/near.py": "from noencore.deep import scale\n\ndef half(x):\n    return scale(x, 0.5)\n",
    "noencore/deep.py": '"""Deep."""\n\ndef scale(x, by):\n    """Times."""\n    return x * by  # product\n',
    "noencore/lazy.py": "def rate():\n    from . import inner\n    return inner.RATE\n",
    "noencore/inner/__init__.py": "from .value import RATE\n",
    "noencore/inner/value.py": "RATE = 1\n",
    "noencore/unrelated.py": "OTHER = 1\n",
    "scripts/one.py": '"""One."""\nimport noencore.near\nfrom noencore import lazy\n\nprint(lazy.rate())\n',
}


@pytest.fixture
def tree(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def digest_of(tree, script="scripts/one.py"):
    digest._read.cache_clear()
    return digest.code_digest(tree / script, tree)


def replace(tree, name, old, new):
    text = (tree / name).read_text()
    assert old in text
    (tree / name).write_text(text.replace(old, new))


def test_digest_is_sixteen_hex_digits(tree):
    value = digest_of(tree)
    assert len(value) == 16
    int(value, 16)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("noencore/deep.py", "# product", "# another comment"),
        ("noencore/deep.py", '"""Times."""', '"""Times, said at length\n\n    and on lines."""'),
        ("noencore/deep.py", '"""Deep."""', ""),
        ("noencore/deep.py", "x * by", "(x\n            * by)"),
        ("scripts/one.py", '"""One."""', "# One."),
        ("noencore/__init__.py", "The package", "This package"),
        ("noencore/unrelated.py", "1", "2"),
        ("noencore/unrelated.py", "= 1", "= ("),
    ],
)
def test_digest_is_kept(tree, name, old, new):
    before = digest_of(tree)
    replace(tree, name, old, new)
    assert digest_of(tree) == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("scripts/one.py", "print", "repr"),
        ("noencore/__init__.py", "\n", "\nX = 1\n"),
        ("noencore/near.py", "0.5", "0.25"),
        ("noencore/deep.py", "x * by", "x / by"),
        ("noencore/lazy.py", "inner.RATE", "-inner.RATE"),
        ("noencore/inner/__init__.py", "RATE", "RATE as RATE"),
        ("noencore/inner/value.py", "1", "1.0"),
    ],
)
def test_digest_is_changed(tree, name, old, new):
    before = digest_of(tree)
    replace(tree, name, old, new)
    assert digest_of(tree) != before


def test_touching_and_moving_files_keeps_the_digest(tree):
    before = digest_of(tree)
    for name in FILES:
        os.utime(tree / name, (1, 1))
    moved = tree.rename(tree.with_name("elsewhere"))
    assert digest_of(moved) == before


def test_a_name_that_becomes_a_module_changes_the_digest(tree):
    replace(tree, "scripts/one.py", "import lazy", "import lazy, later")
    before = digest_of(tree)
    (tree / "noencore/later.py").write_text("LATER = 1\n")
    assert digest_of(tree) != before


def test_circular_imports_end(tree):
    replace(tree, "noencore/deep.py", '"""Deep."""', "from noencore import near")
    digest_of(tree)


def test_a_file_that_is_not_python_is_named(tree):
    replace(tree, "noencore/deep.py", "return", "return return")
    with pytest.raises(UserError, match=r"noencore/deep\.py:5: not valid Python"):
        digest_of(tree)


def test_a_missing_script_is_named(tree):
    with pytest.raises(UserError, match=r"two\.py: cannot be read"):
        digest_of(tree, "scripts/two.py")


@pytest.mark.parametrize("hash_seed", ["0", "1", "2"])
def test_digest_does_not_depend_on_the_hash_seed(tree, hash_seed):
    command = "import sys; from noencore.digest import code_digest; print(code_digest(*sys.argv[1:]))"
    child = subprocess.run(
        [sys.executable, "-c", command, tree / "scripts/one.py", tree],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert child.stdout.strip() == digest_of(tree)


def test_digest_of_known_code_is_the_same_on_every_python(tmp_path):
    """The value was computed on 3.11 and 3.12, whose syntax trees and reprs of this text differ."""
    script = tmp_path / "script.py"
    script.write_text(
        "class A:\n    def f(self, *, x=None, **rest):\n"
        "        return {**rest, 'é\U0001fae8': f'{x!r:>{x}}' f'' 'b' f'{x=}c'}\n",
        encoding="utf-8",
    )
    assert digest.code_digest(script, tmp_path) == "3f06bd851fed9d30"


def test_canonical_sorts_keys_and_refuses_nan():
    assert digest.canonical({"b": [1, 0.5], "a": None}) == '{"a":null,"b":[1,0.5]}'
    with pytest.raises(UserError, match="NaN"):
        digest.canonical({"lr": float("nan")})
