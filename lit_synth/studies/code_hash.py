"""A hash of the code that a run depends on, so that cached results die with what made them."""

import ast
import hashlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("lit_synth", "datamodules")
ALWAYS = ("lit_synth.method", "lit_synth.callbacks.evaluate")


@cache
def code_hash(class_paths: frozenset[str]) -> str:
    """Hash the modules that define these classes, and all of ours that they import.

    Comments, docstrings and layout do not count. Modules that every run uses are always in.

    Args:
        class_paths: Class names as configurations have them, dotted or bare.
    """
    todo = [*ALWAYS, *filter(None, map(_module_of, class_paths))]
    seen: set[str] = set()
    while todo:
        module = todo.pop()
        if module not in seen:
            seen.add(module)
            todo.extend(_imports(module))
    digest = hashlib.sha256()
    for module in sorted(seen):
        digest.update(f"{module}\n{_normalised(module)}\n".encode())
    return digest.hexdigest()


def _module_of(class_path: str) -> str | None:
    module, _, name = class_path.rpartition(".")
    return module if module in _modules() else _classes().get(name)


@cache
def _modules() -> dict[str, Path]:
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in files}


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(_modules()[module].read_text())


@cache
def _classes() -> dict[str, str]:
    """Module that defines each of our classes; the public ones have distinct names."""
    return {
        node.name: module
        for module in _modules()
        for node in _tree(module).body
        if isinstance(node, ast.ClassDef)
    }


@cache
def _imports(module: str) -> list[str]:
    names: set[str] = set()
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return sorted(names & _modules().keys())


@cache
def _normalised(module: str) -> str:
    tree = ast.parse(_modules()[module].read_text())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [line for line in body if not _is_text(line)]  # type: ignore[attr-defined]  # just seen to be there
    return ast.dump(tree)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
