"""Remember how a network was built, so that a release can build it again."""

import functools
import inspect
import json
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from torch import nn

from lit_synth.errors import InputError

P = ParamSpec("P")
Network = TypeVar("Network", bound=nn.Module)


def records_init_args(init: Callable[P, None]) -> Callable[P, None]:
    """Decorate an `__init__` so that the instance keeps its arguments, defaults included.

    Afterwards `type(net)(**net.init_args)` builds a network of the same architecture.

    Args:
        init: An `__init__` whose arguments are JSON values; tuples are kept as lists.

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
        # Set last: a subclass that calls a recording parent then records its own arguments.
        network.init_args = json.loads(json.dumps(arguments))

    return recording_init


def another(network: Network) -> Network:
    """Build a network of the same architecture, with weights of its own.

    Args:
        network: Built by a constructor that `records_init_args`.

    Raises:
        InputError: If it was not.
    """
    arguments = getattr(network, "init_args", None)
    if arguments is None:
        raise InputError(
            f"{type(network).__name__} does not know how it was built, so none can be built for "
            "each domain: decorate its constructor with "
            "lit_synth.networks.parts.rebuilding.records_init_args."
        )
    return type(network)(**arguments)
