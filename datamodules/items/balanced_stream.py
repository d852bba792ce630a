"""A stream that draws every value of every attribute as often."""

import numpy as np
import torch
from torch import Tensor

from datamodules.items.splits import Split
from datamodules.items.stream import Augment, Stream

_BALANCED = 2  # what a seed is spent on besides orders and augmentation; see `Stream`


class BalancedStream(Stream):
    """Draws in which no and yes of all attributes take turns, so that rare ones are seen.

    Draw k is made for attribute k mod K and label k // K mod 2: it is the next image that has this
    label in passes over those that do, each pass in its own seeded order. So each attribute's rarer
    label has a share of 1 / 2K of the draws at least. Other attributes come as they do with it.

    Args:
        split: The images.
        labels: Of 0 and 1, (N, K); each occurs in every column.
        seed: Of the orders and the augmentation.
        augment: See `Stream`.
    """

    def __init__(
        self, split: Split, labels: Tensor, seed: int, augment: Augment | None = None
    ) -> None:
        super().__init__(split, seed, augment)
        self.members = [
            torch.nonzero(column == label).flatten().numpy()
            for label in (0, 1)
            for column in labels.T
        ]
        self._shuffled: dict[int, tuple[int, np.ndarray]] = {}

    def positions(self, draws: range) -> list[int]:
        return [self._position(*divmod(k, len(self.members))) for k in draws]

    def _position(self, turn: int, kind: int) -> int:
        visit, place = divmod(turn, len(self.members[kind]))
        if self._shuffled.get(kind, (-1,))[0] != visit:
            rng = np.random.default_rng([self.seed, _BALANCED, kind, visit])
            self._shuffled[kind] = visit, rng.permutation(self.members[kind])
        return int(self._shuffled[kind][1][place])
