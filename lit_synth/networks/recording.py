"""Remember how a network was built, so that a release can build it again."""

import functools
import inspect
import json
from collections.abc import Callable
from typing import ParamSpec

P = ParamSpec("P")


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
