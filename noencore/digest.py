"""What a rule's result depends on besides its inputs: its slice of the config, and the code that computes it.

Snakemake compares params as text, so both are strings that are equal whenever the thing itself is.
"""

import ast
import hashlib
import json
from functools import cache
from os.path import isfile
from pathlib import Path

from noencore.errors import UserError

PACKAGE = "noencore"
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def canonical(value):
    """JSON text of a config value: sorted keys, no spaces. UserError for NaN and infinity."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except ValueError:
        raise UserError(f"config: NaN or infinity in {value!r}; write a finite number") from None


def code_digest(script, root):
    """16 hex digits over `script` and every module of the package below `root` that it needs.

    Import statements count wherever they stand; an import by a computed name is not seen. Comments,
    docstrings, layout and the place of `script` do not count, and all supported versions of Python agree.
    Each file is read once a process. Raises UserError, naming the file, where it is missing or not Python.
    """
    root = Path(root).resolve()
    tree, imported = _read(Path(script).resolve(), None, False)
    trees, waiting = {"": tree}, list(imported)
    seen = set(imported)
    for name in waiting:
        path = _find(name, root)
        if path is not None:
            trees[name], imported = _read(path, name, path.name == "__init__.py")
            waiting += imported - seen
            seen |= imported
    text = "\n".join(f"{name} {trees[name]}" for name in sorted(trees))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _find(name, root):
    """Path of the module `name`, or None: what is imported from a module need not be a module itself."""
    base = f"{root}/{name.replace('.', '/')}"
    return next((Path(path) for path in (f"{base}/__init__.py", f"{base}.py") if isfile(path)), None)


@cache
def _read(path, name, is_package):
    """(canonical text of the syntax tree, names of the package's modules that it may import) of one file."""
    try:
        tree = ast.parse(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); a rule or an import names it") from None
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise UserError(f"{path}:{line}: not valid Python ({getattr(error, 'msg', error)})") from None
    nodes = _statements(tree)
    home = [] if name is None else name.split(".")[: None if is_package else -1]
    imported = {full for node in nodes for full in _imports(node, home)}
    for node in nodes:
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return _text(tree), frozenset(imported)


def _statements(tree):
    """The module and all its statements: no other node imports or has a docstring."""
    found = [tree]
    for node in found:
        for field in ("body", "orelse", "handlers", "finalbody", "cases"):
            found += getattr(node, field, ())
    return found


def _imports(node, home):
    """Names of the package's modules that one statement may import, each with its parents.

    `home` is the package of the file as a list of names, what a relative import starts from.
    """
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        start = home[: len(home) - node.level + 1] if node.level else []
        module = ".".join([*start, *([node.module] if node.module else [])])
        names = [f"{module}.{alias.name}" for alias in node.names]
    else:
        return
    for full in names:
        parts = full.split(".")
        if parts[0] == PACKAGE:
            yield from (".".join(parts[:n]) for n in range(1, len(parts) + 1))


def _text(value):
    """Like ast.dump, and equal on Python 3.11 and later.

    Versions differ in fields that are empty (`type_params`), in how they cut the fixed text of an f-string,
    and in which characters repr shows as they are.
    """
    if isinstance(value, list):
        return f"[{','.join([_text(one) for one in value])}]"
    if not isinstance(value, ast.AST):
        return ascii(value)
    if isinstance(value, ast.Constant):
        return f"Constant({value.value!a})"
    filled = []
    for name in value._fields:
        field = getattr(value, name, None)
        if name == "values" and isinstance(value, ast.JoinedStr):
            field = _joined(field)
        if field is not None and field != []:
            filled.append(f"{name}={_text(field)}")
    return f"{type(value).__name__}({','.join(filled)})"


def _joined(values):
    """The parts of an f-string: neighbouring pieces of fixed text put together, empty ones left out."""
    parts = []
    for part in values:
        if isinstance(part, ast.Constant) and parts and isinstance(parts[-1], ast.Constant):
            parts[-1] = ast.Constant(parts[-1].value + part.value)
        elif not (isinstance(part, ast.Constant) and part.value == ""):
            parts.append(part)
    return parts
