"""YAML of anybody's, read so that nothing in it is executed and nothing grows without bound."""

import math
from pathlib import Path
from typing import Any

import yaml

from lit_synth.errors import InputError

MOST_BYTES = 2**24  # of a YAML file
MOST_VALUES = 100_000  # that one stands for, its aliases written out
DEEPEST = 50  # values within values

# The parser in C is many times faster, but some builds of PyYAML lack it.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_mapping(path: str | Path, what: str) -> dict[str, Any]:
    """Return the names and values of a YAML file.

    Args:
        path: The file.
        what: What it is, for the message, e.g. `the study`.

    Raises:
        InputError: It cannot be read, holds no names with values, or too many of them.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise ValueError("it is no file")
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES // 2**20} MiB")
        value = _parsed(path.read_text(encoding="utf-8"))
    except Exception as error:  # a file that is no YAML can fail in any way
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{what} {path} cannot be read: {reason}.") from error
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        held = "nothing" if value is None else f"a {type(value).__name__}"
        raise InputError(f"{what} {path} holds {held}: expected names with values, `name: value`.")
    return value


def refuse_unbounded(text: str) -> None:
    """Raise ValueError if what a YAML text stands for is nested too deep, or too much."""
    if len(text) > DEEPEST:  # a shorter one has no room for either
        _parsed(text)


def _parsed(text: str) -> Any:
    _refuse_depth(text)
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _values(node, {}) > MOST_VALUES:
            raise ValueError(f"its aliases stand for more than {MOST_VALUES} values; write less")
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _refuse_depth(text: str) -> None:
    """Raise ValueError if values are nested so deeply that composing them would crash."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError(f"it is nested more than {DEEPEST} deep")


def _values(node: yaml.Node, known: dict[int, float]) -> float:
    """Return how many values a node stands for, each alias counted as what it names."""
    if id(node) not in known:
        known[id(node)] = math.inf  # what holds itself never ends
        inner: list[Any] = node.value if isinstance(node, yaml.CollectionNode) else []
        pairs = isinstance(node, yaml.MappingNode)
        nodes = [each for pair in inner for each in pair] if pairs else inner
        known[id(node)] = 1 + sum(_values(each, known) for each in nodes)
    return known[id(node)]
