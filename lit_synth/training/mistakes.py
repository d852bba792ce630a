"""A mistyped option, class or value as one sentence with what was probably meant."""

import importlib
import inspect
import re
from collections.abc import Iterable, Iterator

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
        known = [*options, *(a for each in classes for a in _arguments(each))]
        return f"{where}there is no option {name}{_hint(name, known)}"
    if classes and (name := classes[-1].rpartition(".")[2]) not in (ours := set(_class_names())):
        return f"{where}there is no class {classes[-1]}{_hint(name, ours)}"
    if wrong := _WRONG.search(message):
        what = re.sub(r"<class '(\w+)'>", r"\1", wrong["what"] or wrong["choice"])
        return f"{where}expected {what}, but it is {wrong['value'].strip()}."
    words = " ".join(message.split())
    return words if len(words) <= LONGEST else f"{words[:LONGEST]} ..."


def _hint(name: str, known: Iterable[str]) -> str:
    """Return what was probably meant: of `--trainer.max_epoch`, both ends are compared."""
    prefix, _, last = name.lstrip("-").rpartition(".")
    tails = {each.rpartition(".")[2]: each for each in known}
    whole = did_you_mean(name.lstrip("-"), known)
    return whole or did_you_mean(last, tails) or did_you_mean(prefix or last, tails) or "."


def _arguments(class_path: str) -> list[str]:
    """Return the names of a class's arguments, none if it is not there."""
    module, _, name = class_path.rpartition(".")
    try:
        return list(inspect.signature(getattr(importlib.import_module(module), name)).parameters)
    except (ImportError, AttributeError, ValueError):
        return []


def _class_names() -> Iterator[str]:
    """Yield the names of all classes that a configuration may name, as far as imported."""
    todo: list[type] = [pl.LightningModule, pl.LightningDataModule, pl.Callback, Logger, nn.Module]
    while todo:
        each = todo.pop()
        yield each.__name__
        todo += each.__subclasses__()
