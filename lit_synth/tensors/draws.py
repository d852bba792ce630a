"""Randomness of a training step that no number of processes and no resume changes."""

from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import Tensor

from lit_synth.tensors.processes import gathered


class Draws:
    """Draws for the whole global batch from one seeded generator, and keeps this process's slice.

    W processes of N images each so draw what one process of W N images would.

    Args:
        seed: Seed of the generator.
    """

    def __init__(self, seed: int) -> None:
        self.rng = torch.Generator().manual_seed(seed)

    def normal(self, n: int, *shape: int) -> Tensor:
        """Draw (n, *shape) from a standard normal distribution."""
        return self._slice(lambda m: torch.randn(m, *shape, generator=self.rng), n)

    def shared_normal(self, n: int, *shape: int) -> Tensor:
        """Draw (n, *shape) from a standard normal distribution, the same in every process."""
        return torch.randn(n, *shape, generator=self.rng)

    def uniform(self, n: int, *shape: int) -> Tensor:
        """Draw (n, *shape) from a uniform distribution on [0, 1)."""
        return self._slice(lambda m: torch.rand(m, *shape, generator=self.rng), n)

    def integers(self, high: int, n: int) -> Tensor:
        """Draw (n,) integers, uniform over 0..high-1."""
        return self._slice(lambda m: torch.randint(high, (m,), generator=self.rng), n)

    def shuffled(self, x: Tensor) -> Tensor:
        """Return a slice of the global batch, `x` (N, ...) here, in a random order."""
        everyones = gathered(x)
        order = torch.randperm(len(everyones), generator=self.rng).to(x.device)
        return everyones[order].narrow(0, _rank() * len(x), len(x))

    def _slice(self, draw: Callable[[int], Tensor], n: int) -> Tensor:
        world = dist.get_world_size() if dist.is_initialized() else 1
        return draw(n * world).narrow(0, _rank() * n, n)


def _rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0
