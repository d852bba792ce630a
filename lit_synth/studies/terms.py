"""Texts of a plan: `$names` that stand for values, and terms such as `a - 2 * b-*:fid`."""

import fnmatch
import re
from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

from lit_synth.errors import InputError

Values = Mapping[str, Any]
NAME = re.compile(r"\$((?!prepare\.\$)[A-Za-z_]\w*(?:\.\w+)?)")  # $prepare.$name: inner first


def fill(value: Any, values: Values) -> Any:
    """Replace every `$name` in a nested value; `$prepare.name` is left where it is not known."""
    if isinstance(value, dict):
        return {fill(key, values): fill(each, values) for key, each in value.items()}
    if isinstance(value, list):
        return [fill(each, values) for each in value]
    if not isinstance(value, str) or "$" not in value:
        return value
    whole = NAME.fullmatch(value)
    if whole:
        return _value(whole[1], values)
    return NAME.sub(lambda found: str(_value(found[1], values)), value)


def turns_of(loop: Values, sizes: Values) -> list[dict[str, Any]]:
    """Turns of a loop: all combinations of {name: [values]}."""
    loop = fill(fill(loop, sizes), sizes)  # what a scale gives to a loop may name more of the scale
    return [dict(zip(loop, combination, strict=True)) for combination in product(*loop.values())]


def split_term(term: str, metric: str) -> list[tuple[float, str, str]]:
    """Return factor, arm pattern and metric of each part of a term."""
    first, *rest = re.split(r" ([+-]) ", term)
    signed = [("+", first), *zip(rest[::2], rest[1::2], strict=True)]
    parts = []
    for sign, part in signed:
        factor, _, name = part.strip().rpartition(" * ")
        arm, _, own_metric = name.partition(":")
        parts.append((float(f"{sign}{factor or 1}"), arm, own_metric or metric))
    return parts


def matching(pattern: str, names: Iterable[str]) -> list[str]:
    """Return the names that a pattern with `*` matches, in their order."""
    return [name for name in names if fnmatch.fnmatchcase(name, pattern)]


def _value(name: str, values: Values) -> Any:
    if name in values:
        return values[name]
    mapping, _, key = name.partition(".")
    if key and isinstance(values.get(mapping), Mapping) and key in values[mapping]:
        return values[mapping][key]
    if name == "seed" or name.startswith("prepare."):
        return f"${name}"  # known only to a run
    raise InputError(f"a study uses ${name}, but there are only: {', '.join(map(str, values))}.")
