"""Random numbers that are a pure function of (seed, index, roll), for whole vectors of indices."""

from collections.abc import Sequence
from copy import copy

import numpy as np
import torch
from torch import Tensor

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_SIDES = 2**24  # a roll is one of so many numbers, which float32 still tells apart
_MARGIN = 2**-20  # of a value's share of rolls, which float32 may read as the next value


class Dice:
    """Rolls for many images at once: roll r of image i depends on (seed, i, r) only.

    Args:
        seed: Names the sequence; dice of other seeds roll independently.
        index: Which images, int64 (N,).
    """

    def __init__(self, seed: int, index: Tensor) -> None:
        start = np.array([seed], np.uint64)
        self._state = _mix(_mix(start) + index.numpy().astype(np.uint64))
        self._rolled = 0

    def between(self, low: float, high: float) -> Tensor:
        """Return the next roll (N,), uniform in [low, high)."""
        return self.several(1, low, high)[:, 0]

    def below(self, n: int) -> Tensor:
        """Return the next roll, int64 (N,) uniform in 0..n - 1."""
        return self.between(0, n).long().clamp(max=n - 1)

    def weighted(self, weights: Sequence[float]) -> Tensor:
        """Return the next roll, int64 (N,) in 0..len(weights) - 1 with these probabilities."""
        edges = torch.tensor(weights).cumsum(0)[:-1]
        return torch.bucketize(self.between(0, sum(weights)), edges, right=True)

    def several(self, count: int, low: float, high: float) -> Tensor:
        """Return the next `count` rolls (N, count), uniform in [low, high)."""
        first = self._rolled
        self._rolled += count
        return low + (high - low) * self._sides(first, count) / _SIDES

    def first(self, count: int) -> Tensor:
        """Return the first `count` rolls, whatever was rolled: float64 (N, count) in (0, 1).

        They are exact, in the middle of what a float32 stands for: `GivenDice` of them roll alike.
        """
        return (self._sides(0, count).double() + 0.5) / _SIDES

    def of(self, positions: Tensor) -> "Dice":
        """Return dice of the images at positions (M,), of which nothing is rolled yet."""
        dice = copy(self)
        dice._state, dice._rolled = self._state[positions.numpy()], 0
        return dice

    def _sides(self, first: int, count: int) -> Tensor:
        """Return which side each roll shows, float32 (N, count)."""
        rolls = np.arange(first + 1, first + count + 1, dtype=np.uint64)
        bits = _mix(self._state[:, None] + rolls * _GOLDEN) >> np.uint64(40)
        return torch.from_numpy(bits.astype(np.float32))


class GivenDice(Dice):
    """Dice that show the rolls that they are given, from the first on.

    Args:
        rolls: Numbers in (0, 1), float64 (N, R), of which a die has no more than these R.
    """

    def __init__(self, rolls: Tensor) -> None:
        self._given = (rolls.double() * _SIDES).floor().clamp(0, _SIDES - 1).float()
        self._rolled = 0

    def of(self, positions: Tensor) -> "GivenDice":
        dice = copy(self)
        dice._given, dice._rolled = self._given[positions], 0
        return dice

    def _sides(self, first: int, count: int) -> Tensor:
        assert first + count <= self._given.shape[1], "more rolls than were given"
        return self._given[:, first : first + count]


def rolls_of(value: Tensor, n: int, roll: Tensor) -> Tensor:
    """Return rolls that `Dice.below(n)` reads as values: those given, where it reads them so.

    Others are moved to the value's share of all rolls, to the same place in it: where values are
    equally frequent, what is returned is uniform as what was given.

    Args:
        value: Values in 0..n - 1, int64 (N,).
        n: How many values there are.
        roll: Rolls in (0, 1), float64 (N,).
    """
    return (value + (n * roll).frac().clamp(_MARGIN, 1 - _MARGIN)) / n


def _mix(x: np.ndarray) -> np.ndarray:
    """Scramble uint64 by the finaliser of SplitMix64 (Steele, Lea, Flood 2014, fig. 19)."""
    x = x + _GOLDEN
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
