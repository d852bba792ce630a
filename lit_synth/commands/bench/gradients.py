"""What benchmarks of several methods ask of gradients: how far two are apart, in which type."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

Gradients = dict[str, Tensor]  # network -> flat gradient of all its parameters
MOST = 1e-4  # relative distance of forms of one step that count as equal


def flat_gradient(network: nn.Module) -> Tensor:
    """Return the gradients of a network's parameters in one row; of none, an empty one."""
    found = [p.grad.flatten() for p in network.parameters() if p.grad is not None]
    return torch.cat(found) if found else torch.empty(0)


def distance(found: Tensor, expected: Tensor) -> float:
    """Return the relative L2 distance of two gradients."""
    return ((found - expected).norm() / expected.norm()).item()


def check_equal(ours: Gradients, theirs: Gradients) -> None:
    """Stop unless two forms of a step have the same gradients."""
    assert ours.keys() == theirs.keys()
    for name, gradient in ours.items():
        far = distance(gradient, theirs[name])
        assert far < MOST, f"the two forms differ in the gradient of {name}: {far:.1e}"


def in_float32() -> torch.autocast:
    """Return a context without autocast."""
    return torch.autocast("cpu", enabled=False)


def in_bfloat16(device: torch.device) -> torch.autocast:
    """Return a context with autocast to bfloat16."""
    return torch.autocast(device.type, torch.bfloat16)


@contextmanager
def instead(owner: object, **attributes: Any) -> Iterator[None]:
    """Have an object, a class or a module use other attributes, as long as the context lasts."""
    own = {name: vars(owner)[name] for name in attributes if name in vars(owner)}
    for name, value in attributes.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for name in attributes:
            if name in own:
                setattr(owner, name, own[name])
            else:
                delattr(owner, name)
