"""Remember how a network was built, so that a release can build it again."""

import contextlib
import functools
import importlib
import inspect
import json
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from lit_synth.errors import InputError

P = ParamSpec("P")
Network = TypeVar("Network", bound=nn.Module)


def records_init_args(init: Callable[P, None]) -> Callable[P, None]:
    """Decorate an `__init__` so that the instance keeps its arguments, defaults included.

    Afterwards `another(net)` builds a network of the same architecture.

    Args:
        init: An `__init__` whose arguments are JSON values, tuples being kept as lists, or networks
            that were built by such an `__init__` themselves.

    Returns:
        The same `__init__`, which also sets `self.init_args`, a dict of JSON values.
    """
    signature = inspect.signature(init)

    @functools.wraps(init)
    def recording_init(*args: P.args, **kwargs: P.kwargs) -> None:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        arguments = dict(bound.arguments)
        network = arguments.pop("self")
        init(*args, **kwargs)
        # Last: a subclass that calls a recording parent then records its own arguments. What holds
        # a network that does not know how it was built does not know it either.
        with contextlib.suppress(_UnknownError):
            network.init_args = json.loads(json.dumps(arguments, default=_as_json))

    return recording_init


def spec_of(network: nn.Module) -> dict[str, Any]:
    """Return class path and arguments, as JSON values, of a network that records them."""
    return {
        "class_path": f"{type(network).__module__}.{type(network).__qualname__}",
        "init_args": vars(network)["init_args"],
    }


def rebuilt(value: Any, find: Callable[[str], Callable[..., nn.Module]]) -> Any:
    """Return JSON values with every network of `spec_of` in them built anew.

    Args:
        value: Of the argument of a constructor, or a whole `spec_of`.
        find: Class path -> class.
    """
    if isinstance(value, list):
        return [rebuilt(each, find) for each in value]
    if isinstance(value, dict):
        filled = {key: rebuilt(each, find) for key, each in value.items()}
        if value.keys() == {"class_path", "init_args"}:
            return find(value["class_path"])(**filled["init_args"])
        return filled
    return value


def another(network: Network) -> Network:
    """Build a network of the same architecture, with weights of its own.

    Args:
        network: Built by a constructor that `records_init_args`.

    Raises:
        InputError: If it was not.
    """
    if not hasattr(network, "init_args"):
        raise InputError(
            f"{type(network).__name__} does not know how it was built, so none can be built for "
            "each domain: decorate its constructor with "
            "lit_synth.networks.parts.rebuilding.records_init_args."
        )
    arguments = rebuilt(vars(network)["init_args"], _imported)
    return type(network)(**arguments)


def _imported(class_path: str) -> Any:
    module, _, name = class_path.rpartition(".")
    return getattr(importlib.import_module(module), name)


_DRAWS = (
    Tensor.normal_,
    Tensor.uniform_,
    nn.init.normal_,
    nn.init.uniform_,
    nn.init.kaiming_uniform_,
)


class WithoutRandomStart(TorchFunctionMode):
    """Under it networks draw no weights: for those whose weights are replaced at once.

    The factors of BigGAN's matrices take most of a minute and the power iterations of OASIS's
    spectral norms seconds, and nothing of them would be left.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in _DRAWS and kwargs.get("generator") is None:
            return args[0] if args else kwargs["tensor"]
        if func is torch.linalg.qr:
            columns = args[0].shape[1]
            return args[0], args[0].new_ones(columns, columns)
        if func is torch.mv:
            return args[0].new_ones(len(args[0]))
        if func is F.normalize and kwargs.get("out") is not None:
            return kwargs["out"]
        return func(*args, **kwargs)


class _UnknownError(Exception):
    """A network does not know how it was built."""


def _as_json(value: object) -> Any:
    if isinstance(value, nn.Module):
        if not hasattr(value, "init_args"):
            raise _UnknownError
        return spec_of(value)
    raise TypeError(f"a {type(value).__name__} cannot be kept with a network: give JSON values.")
