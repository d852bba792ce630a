"""What data of masks and persons share: pairs, and a pool of images of each person."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from itertools import combinations
from typing import Literal, cast, get_args

import torch
from torch import Tensor

from datamodules.base.translation_data import HeldOut, TranslationData
from datamodules.errors import DataError
from datamodules.items.references import (
    PERSON,
    ReferencedScenes,
    ReferencedStream,
    References,
)
from datamodules.items.scenes import Scenes
from datamodules.items.stream import StreamLoader, _Together, training_loader

PAIRS, MASK, IMAGE = "pairs", "mask", "image"  # the one training set and its modalities
Part = Literal["train", "val", "test"]
_LISTED = 5
_AT_ONCE = 64  # images of a pool


class PersonData(TranslationData):
    """Pairs of a mask and an image of a person, who has a pool of images to take the style from.

    The persons of `train`, `val` and `test` are different people. A pair has the field `person`
    (N,), a number that means the same in all splits. With `references` above 0, batches have
    `references` (N, references, C, H, W) too: images of the pair's person, never its own; in
    training drawn from all candidates, in `val` and `test` the first ones.

    A subclass sets `size` and `modalities`, `mask` and `image`, and defines `load_pairs`,
    `load_pool` and `person_name`.

    Args:
        references: Number of images of its person that come with a pair; 0: none, and no pool is
            read.
        batch_size: Pairs per batch and process.
        num_workers: Processes that prepare batches.
        seed: Seeds the orders of the pairs, their references and their augmentation.

    Attributes:
        size: Height and width in pixels.
    """

    size: tuple[int, int]

    def __init__(self, references: int, batch_size: int, num_workers: int, seed: int) -> None:
        super().__init__({PAIRS: [MASK, IMAGE]}, batch_size, num_workers, seed)
        if references < 0:
            raise DataError(f"references is {references}; give 0 or more.")
        self.n_references = references
        self._pools: dict[Part, Scenes] = {}
        self._rankings: dict[Part, Tensor] = {}
        self._references: dict[Part, References] = {}
        self._rank: Callable[[Part, References], Tensor] | None = None

    @abstractmethod
    def load_pairs(self, part: Part) -> Scenes:
        """Read or render the pairs of a split, with the field `person`."""

    @abstractmethod
    def load_pool(self, part: Part) -> Scenes:
        """Read or render the images of a split's persons, with the field `person`."""

    @abstractmethod
    def person_name(self, number: int) -> str:
        """Return what a person is called in messages."""

    def load_set(self, name: str) -> Scenes:  # noqa: ARG002 - the only one
        return self.load_pairs("train")

    def load_held_out(self, name: HeldOut) -> Scenes:
        return self.load_pairs(name)

    def pairs(self, part: Part) -> Scenes:
        """Return the pairs of a split, without references."""
        return self.training_set(PAIRS) if part == "train" else super().split(part)

    def pool(self, part: Part) -> Scenes:
        """Return the pool of a split, read at first use and kept."""
        if part not in self._pools:
            self._pools[part] = self.load_pool(part)
        return self._pools[part]

    def references(self, part: Part) -> References:
        """Return which images of the pool may be references of each pair of a split."""
        if part not in self._references:
            pairs, pool, ranking = self.pairs(part), self.pool(part), self._rankings.get(part)
            if ranking is None and self._rank is not None:
                ranking = self._rank(part, References(pairs, pool))
            self._references[part] = References(pairs, pool, ranking)
        return self._references[part]

    def rank_by(self, rank: Callable[[Part, References], Tensor]) -> None:
        """Let `rank` be asked for the ranking of each split that has none, when it is needed."""
        self._rank = rank

    def use_ranking(self, part: Part, ranking: Tensor) -> None:
        """Let the pool's images at positions `ranking` (N, k), nearest first, be the candidates."""
        self._rankings[part] = ranking
        self._references.pop(part, None)
        self.references(part)

    def person_means(self, split: str, index: Tensor) -> Tensor:
        """Return the mean image (N, C, H, W) of the pools of the people of pairs (N,)."""
        pairs, pool = self.pairs(cast("Part", split)), self.pool(cast("Part", split))
        people = pairs.fields[PERSON][index].tolist()
        members = {who: (pool.fields[PERSON] == who).nonzero().flatten() for who in people}
        means = {who: self._mean_of(pool, own) for who, own in members.items()}
        return torch.stack([means[who] for who in people])

    @staticmethod
    def _mean_of(pool: Scenes, members: Tensor) -> Tensor:
        """Return the mean (C, H, W) of images of a pool, of which a few are read at a time."""
        sums = [pool.fetch(some.tolist())[IMAGE].sum(0) for some in torch.split(members, _AT_ONCE)]
        return torch.stack(sums).sum(0) / len(members)

    def split(self, name: str) -> Scenes:
        pairs = super().split(name)
        if not self.n_references:
            return pairs
        return ReferencedScenes(self.references(cast("HeldOut", name)), self.n_references)

    def setup(self, stage: str) -> None:
        super().setup(stage)
        if stage != "fit":
            return
        parts = [part for part in get_args(Part) if part == "train" or self.has_split(part)]
        people = {part: set(self.pairs(part).fields[PERSON].tolist()) for part in parts}
        refuse_shared_persons(
            {part: {self.person_name(number) for number in people[part]} for part in parts}
        )
        for part in parts if self.n_references else []:
            self.references(part)

    def train_dataloader(self) -> StreamLoader:
        if not self.n_references:
            return super().train_dataloader()
        stream = ReferencedStream(
            self.references("train"), self.n_references, self.seed, self.augment
        )
        return training_loader(self, _Together({PAIRS: stream}), self.batch_size, self.num_workers)

    def describe(self) -> dict[str, object]:
        pools = {part: self._pools[part] for part in get_args(Part) if part in self._pools}
        return {
            **super().describe(),
            "references": self.n_references,
            "pools": {
                part: {"images": len(pool), "sha256": pool.sha256} for part, pool in pools.items()
            },
        }


def refuse_shared_persons(parts: Mapping[str, set[str]]) -> None:
    """Raise DataError, naming them, if people are in two splits.

    Args:
        parts: Name of a split -> names of its persons.
    """
    for (one, first), (other, second) in combinations(parts.items(), 2):
        if shared := sorted(first & second):
            more = f" and {len(shared) - _LISTED} more" if len(shared) > _LISTED else ""
            raise DataError(
                f"{one} and {other} share {len(shared)} persons: {', '.join(shared[:_LISTED])}"
                f"{more}; give each person to one of them."
            )
