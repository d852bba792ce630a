"""A hash of the code that a run depends on, so that cached results die with what made them."""

import ast
import hashlib
import json
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TypedDict

from lit_synth.runs.files import write_atomically
from lit_synth.runs.user_cache import cache_folder

ROOT = Path(__file__).parents[2]
PACKAGES = ("lit_synth", "datamodules")
ALWAYS = ("lit_synth.method", "lit_synth.callbacks.evaluate")
PYTHON = ".".join(map(str, sys.version_info[:2]))  # each version has its own syntax trees


class Facts(TypedDict):
    """What is read off a module's source, and kept by its hash: parsing all takes seconds.

    Attributes:
        code: Hash of the source without comments, docstrings and layout.
        imports: Names that may be modules.
        classes: Defined at the top.
    """

    code: str
    imports: list[str]
    classes: list[str]


@cache
def code_hash(class_paths: frozenset[str], always: tuple[str, ...] = ALWAYS) -> str:
    """Hash the modules that define these classes, and all of ours that they import.

    Comments, docstrings and layout do not count.

    Args:
        class_paths: Class names as configurations have them, dotted or bare.
        always: Modules that are in whatever the classes; those that every run uses.
    """
    facts = _facts()
    todo = [*always, *filter(None, map(module_of, class_paths))]
    seen: set[str] = set()
    while todo:
        module = todo.pop()
        if module not in seen:
            seen.add(module)
            todo.extend(name for name in facts[module]["imports"] if name in facts)
    digest = hashlib.sha256()
    for module in sorted(seen):
        digest.update(f"{module}\n{facts[module]['code']}\n".encode())
    return digest.hexdigest()


def module_of(class_path: str) -> str | None:
    """Return the module of ours that defines a class, dotted or bare; None if none does."""
    module, _, name = class_path.rpartition(".")
    return module if module in _facts() else _classes().get(name)


def _modules() -> dict[str, Path]:
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in files}


@cache
def _classes() -> dict[str, str]:
    """Module that defines each of our classes; the public ones have distinct names."""
    return {name: module for module, facts in _facts().items() for name in facts["classes"]}


@cache
def _facts() -> dict[str, Facts]:
    """Return the facts of all our modules, those of changed ones read anew."""
    path = cache_folder() / f"code-{PYTHON}.json"
    sources = {module: file.read_text() for module, file in _modules().items()}
    keys = {module: hashlib.sha256(text.encode()).hexdigest() for module, text in sources.items()}
    known = _kept(path)
    facts = {m: known.get(keys[m]) or _read(text) for m, text in sources.items()}
    if any(key not in known for key in keys.values()):
        with suppress(OSError):  # then it takes seconds the next time as well
            write_atomically(
                path, json.dumps({keys[m]: each for m, each in facts.items()}).encode()
            )
    return facts


def _kept(path: Path) -> dict[str, Facts]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def _read(source: str) -> Facts:
    tree = ast.parse(source)
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    imports: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            imports.add(node.module)
            imports.update(f"{node.module}.{alias.name}" for alias in node.names)
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [line for line in body if not _is_text(line)]  # type: ignore[attr-defined]  # just seen to be there
    code = hashlib.sha256(ast.dump(tree).encode()).hexdigest()
    return Facts(code=code, imports=sorted(imports), classes=classes)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
