"""Random numbers that are a pure function of (seed, index, roll), for whole vectors of indices."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class Dice:
    """Rolls for many images at once: roll r of image i depends on (seed, i, r) only.

    Args:
        seed: Names the sequence; dice of other seeds roll independently.
        index: Which images, int64 (N,).
    """

    def __init__(self, seed: int, index: Tensor) -> None:
        start = np.array([seed], np.uint64)
        self._state = _mix(_mix(start) + index.numpy().astype(np.uint64))
        self._rolls = 0

    def between(self, low: float, high: float) -> Tensor:
        """Return the next roll (N,), uniform in [low, high)."""
        return _uniform(self._state, self._next(1), low, high)

    def below(self, n: int) -> Tensor:
        """Return the next roll, int64 (N,) uniform in 0..n - 1."""
        return self.between(0, n).long().clamp(max=n - 1)

    def weighted(self, weights: Sequence[float]) -> Tensor:
        """Return the next roll, int64 (N,) in 0..len(weights) - 1 with these probabilities."""
        edges = torch.tensor(weights).cumsum(0)[:-1]
        return torch.bucketize(self.between(0, sum(weights)), edges, right=True)

    def several(self, count: int, low: float, high: float) -> Tensor:
        """Return the next `count` rolls (N, count), uniform in [low, high)."""
        return _uniform(self._state[:, None], self._next(count), low, high)

    def _next(self, count: int) -> np.ndarray:
        """Return the numbers of the next rolls, uint64 (count,)."""
        first = self._rolls + 1
        self._rolls += count
        return np.arange(first, first + count, dtype=np.uint64)


def _uniform(state: np.ndarray, rolls: np.ndarray, low: float, high: float) -> Tensor:
    """Return a number in [low, high) for each state and roll, of which one is broadcast."""
    bits = _mix(state + rolls * _GOLDEN) >> np.uint64(40)
    return low + (high - low) * torch.from_numpy(bits.astype(np.float32)) / 2**24


def _mix(x: np.ndarray) -> np.ndarray:
    """Scramble uint64 by the finaliser of SplitMix64 (Steele, Lea, Flood 2014, fig. 19)."""
    x = x + _GOLDEN
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
