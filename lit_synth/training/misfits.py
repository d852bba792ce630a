"""Torch's error where shapes do not fit, as a sentence: which network got which image."""

import inspect
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.method import Method

# What torch says of shapes; whatever else it says is no matter of what was given.
_OF_SHAPES = re.compile(
    r"to have \d+ channels|must match|cannot be multiplied|[Pp]adding size should be less|"
    r"Kernel size can't be greater|Output size is too small|is invalid for input of size|"
    r"expanded size of the tensor|not compatible with .*shape|more than 1 (value|spatial element)"
)
_CHANNELS = re.compile(r"to have (\d+) channels, but got (\d+) channels")


@contextmanager
def explaining_misfits() -> Iterator[None]:
    """Raise InputError, naming the network and its input, where torch finds that shapes misfit."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        said = explain(error)
        if said is None:
            raise
        raise InputError(said) from error


def explain(error: Exception) -> str | None:
    """Return a sentence on an error of torch; None if it is not about a network's shapes."""
    if isinstance(error, InputError) or not _OF_SHAPES.search(str(error)):
        return None
    method, network, given = _network_in(error)
    reason = str(error).strip().splitlines()[0].rstrip(".")
    if method is None:
        return None
    if network is None:
        return (
            f"what the networks of {type(method).__name__} make and what the data give do not fit "
            f"each other ({reason}): give data and networks of the same size and channels."
        )
    name = next(name for name, each in method.named_modules() if each is network)
    kind = type(network).__name__
    got = f"got {' and '.join(given)}" if given else "did not get it"
    if channels := _CHANNELS.search(str(error)):
        expected, found = map(int, channels.groups())
        flags = _flags(method, expected, found)
        return (
            f"the network {name} ({kind}) expects {expected} channels where {found} come; it {got} "
            f"(channels x height x width): give {flags + ', or else ' if flags else ''}data and "
            "networks of the same channels."
        )
    return (
        f"the network {name} ({kind}) {got} (channels x height x width), which does not fit it "
        f"({reason}): give data of another size (--data.init_args.image_size), or a network with "
        "fewer or other layers."
    )


def _network_in(error: Exception) -> tuple[Method | None, nn.Module | None, list[str]]:
    """Return the method of a traceback, its network that failed, and the shapes of what it got."""
    method: Method | None = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        owner = frame.f_locals.get("self")
        if isinstance(owner, Method):
            method = owner
        elif method and any(each is owner for each in method.modules()):
            return method, owner, _shapes(frame.f_locals.get("args", ()))
    return method, None, []


def _shapes(given: Any) -> list[str]:
    return [
        " x ".join(map(str, x.shape[1:])) for x in given if isinstance(x, Tensor) and x.dim() > 2
    ]


def _flags(method: Method, expected: int, found: int) -> str:
    """Return the flags that give other channels to all networks that are built for the expected."""
    own = inspect.signature(type(method)).parameters
    flags = []
    for stem, child in method.named_children():
        argument = next((each for each in (stem, stem.removesuffix("s")) if each in own), None)
        alike = child.children() if isinstance(child, nn.ModuleDict | nn.ModuleList) else [child]
        recorded = getattr(next(iter(alike), None), "init_args", {})
        for key in ("channels", "in_channels", "out_channels", "image_channels"):
            if argument and recorded.get(key) == expected:
                flags.append(f"--model.init_args.{argument}.init_args.{key} {found}")
    return " ".join(flags)
