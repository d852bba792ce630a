"""A mistyped option, class or value as one sentence with what was probably meant."""

import importlib
import inspect
import re
from collections.abc import Collection, Iterable, Iterator

import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger
from torch import nn

from lit_synth.errors import did_you_mean

LONGEST = 300  # characters of what the parser says, where it is none of the common mistakes

_UNKNOWN = re.compile(
    r"(?:unrecognized arguments: |[Oo]ption ')(?P<name>[^\s'=]+)|fields: \['?(?P<field>\w+)"
)
_KEY = re.compile(r"""[Pp]arser key ["']?([\w.]+)|argument (?:-\w/)?(--[\w.]+)""")
_CLASS = re.compile(r"class_path '?([\w.]+)|import path[^:]*: (\w+)|([A-Z]\w+) is not a subclass")
_PREFIX = re.compile(r"""Parser key ["']?([\w.]+)["']?:""")
_TYPE = re.compile(r"<class '(\w+)'>")
_UNION = re.compile(r"Subtypes: \[(?P<kinds>.+)\](?:.|\n)+Given value: (?P<value>.+)")
_MISSING = re.compile(
    r"class_path '?[\w.]*?(?P<of>\w+)'?:\s+the following arguments are required: (?P<names>.+)"
)
_WRONG = re.compile(
    r"(?:Expected an? (?P<what>.+?)|(?P<choice>.+? among choices .+?))\. Got value: (?P<value>.+)"
)


def sentence(message: str, options: Iterable[str]) -> str:
    """Return what the parser complains about, in one sentence.

    Args:
        message: The parser's, of several lines.
        options: All dotted option names, but for arguments of classes.
    """
    keys = [first or second for first, second in _KEY.findall(message)]
    where = f"{'.'.join(dict.fromkeys(key.lstrip('-') for key in keys))}: " if keys else ""
    classes = [next(filter(None, found)) for found in _CLASS.findall(message)]
    if unknown := list(_UNKNOWN.finditer(message)):
        name = unknown[-1]["name"] or unknown[-1]["field"]
        if message.startswith("unrecognized") and not name.startswith("-"):
            return f"'{name}' belongs to no option: options begin with --."
        of_classes = [a for each in classes for a in _arguments(each)] or _all_arguments()
        return f"{where}there is no option {name}{_hint(name, [*options, *of_classes])}"
    if classes and _found(classes[-1]) is None:
        name, known = classes[-1].rpartition(".")[2], _class_names()
        if name not in known:
            return f"{where}there is no class {classes[-1]}{_hint(name, known)}"
    if missing := _MISSING.search(message):
        return f"{where}{missing['of']} also needs {missing['names']}: say them in its init_args."
    if wrong := _WRONG.search(message):
        what = _TYPE.sub(r"\1", wrong["what"] or wrong["choice"])
        return f"{where}expected {what}, but it is {wrong['value'].strip()}."
    if union := _UNION.search(message):
        kinds = " or ".join(_TYPE.findall(union["kinds"])).replace("NoneType", "null")
        return f"{where}expected {kinds or union['kinds']}, but it is {union['value'].strip()}."
    words = " ".join(_PREFIX.sub(r"--\1: ", message).split())
    return words if len(words) <= LONGEST else f"{words[:LONGEST]} ..."


def _hint(name: str, known: Collection[str]) -> str:
    """Return what was probably meant: of `--trainer.max_epoch`, both ends are compared."""
    prefix, _, last = name.lstrip("-").rpartition(".")
    tails = {each.rpartition(".")[2]: each for each in known}
    whole = did_you_mean(name.lstrip("-"), known)
    return whole or did_you_mean(last, tails) or did_you_mean(prefix or last, tails) or "."


def _arguments(class_path: str) -> list[str]:
    """Return the names of a class's arguments, none if it is not there."""
    found = _found(class_path)
    return list(inspect.signature(found).parameters) if found else []


def _found(class_path: str) -> type | None:
    """Return the class of a dotted path, or None."""
    module, _, name = class_path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError):
        return None
    return found if isinstance(found, type) else None


def _all_arguments() -> list[str]:
    """Return the names of the arguments of all methods and data modules."""
    bases = (pl.LightningModule, pl.LightningDataModule)
    return [name for each in _subclasses(*bases) for name in inspect.signature(each).parameters]


def _class_names() -> set[str]:
    """Return the names of all classes that a configuration may name, as far as imported."""
    bases = (pl.LightningModule, pl.LightningDataModule, pl.Callback, Logger, nn.Module)
    return {each.__name__ for each in _subclasses(*bases)}


def _subclasses(*bases: type) -> Iterator[type]:
    todo = list(bases)
    while todo:
        each = todo.pop()
        yield each
        todo += each.__subclasses__()
