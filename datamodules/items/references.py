"""References: images of the person of a pair, from which a method is to take the style."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.items.scenes import Scenes
from datamodules.items.splits import Batch
from datamodules.items.stream import Augment, Stream

PERSON, IMAGE, REFERENCES = "person", "image", "references"
_REFERENCES = 3  # what a seed is spent on besides orders and augmentation; see `Stream`


class References:
    """Which images of a pool may be a reference of each pair: its person's, never its own image.

    Args:
        pairs: Scenes with the field `person` (N,).
        pool: Scenes with the modality `image` and the field `person` (M,). Its ids are the pairs'
            where it holds their images.
        ranking: Positions in the pool (N, k) for each pair, the nearest first; None: all that may
            be one, in their order.
    """

    def __init__(self, pairs: Scenes, pool: Scenes, ranking: Tensor | None = None) -> None:
        self.pairs, self.pool, self.ranking = pairs, pool, ranking
        positions = {name: position for position, name in enumerate(pool.ids)}
        self.own = torch.tensor([positions.get(name, -1) for name in pairs.ids])
        if ranking is not None:
            self._check_ranking(ranking)
        people = pool.fields[PERSON]
        self._of = {who: (people == who).nonzero().flatten() for who in set(people.tolist())}
        self._check_people()

    def of(self, position: int) -> Tensor:
        """Return the positions in the pool that may be references of a pair, the nearest first."""
        if self.ranking is not None:
            return self.ranking[position]
        candidates = self._of[int(self.pairs.fields[PERSON][position])]
        return candidates[candidates != self.own[position]]

    def images(self, positions: Tensor) -> Tensor:
        """Return the pool's images at `positions` (N, k): (N, k, C, H, W) in [-1, 1]."""
        found = self.pool.fetch(positions.flatten().tolist())[IMAGE]
        return found.reshape(*positions.shape, *found.shape[1:])

    def nearest(self, index: Tensor, count: int) -> Tensor:
        """Return the images of the first `count` candidates of pairs: (N, count, C, H, W).

        A pair that has fewer begins again with its first one.
        """
        chosen = [self.of(position) for position in index.tolist()]
        return self.images(torch.stack([c[torch.arange(count) % len(c)] for c in chosen]))

    def _check_ranking(self, ranking: Tensor) -> None:
        least, most = (int(ranking.min()), int(ranking.max())) if ranking.numel() else (-1, -1)
        if len(ranking) != len(self.pairs) or not 0 <= least <= most < len(self.pool):
            raise DataError(
                f"A ranking has {len(ranking)} rows of positions {least} to {most}, but there are "
                f"{len(self.pairs)} pairs and {len(self.pool)} images in the pool; rank them anew."
            )
        strange = self.pool.fields[PERSON][ranking] != self.pairs.fields[PERSON][:, None]
        if (strange | (ranking == self.own[:, None])).any():
            raise DataError(
                "A ranking gives pairs their own image or one of another person; rank them anew."
            )

    def _check_people(self) -> None:
        for position, who in enumerate(self.pairs.fields[PERSON].tolist()):
            if who not in self._of or not len(self.of(position)):
                raise DataError(
                    f"There is no image but its own for the style of {self.pairs.ids[position]}; "
                    "give its person a pool of further images."
                )


class ReferencedStream(Stream):
    """A stream of pairs with `references` (N, count, C, H, W), drawn with replacement.

    They are augmented with the seed of their pair, so that a flip of it is one of theirs.

    Args:
        references: Gives the candidates of each pair.
        count: Number of references of a pair.
        seed: Seeds the orders, the references and the augmentation.
        augment: See `Stream`; it changes `image`.
    """

    def __init__(
        self, references: References, count: int, seed: int, augment: Augment | None = None
    ) -> None:
        super().__init__(references.pairs, seed, augment)
        self.references, self.count = references, count

    def fetch(self, draws: range) -> Batch:
        batch = super().fetch(draws)
        chosen = [self._choose(k, i) for k, i in zip(draws, batch["index"].tolist(), strict=True)]
        images = self.references.images(torch.stack(chosen))
        if self.augment is not None:
            seeds = [self._augmentation_seed(k) for k in draws]
            turned = [self.augment({IMAGE: x}, seeds)[IMAGE] for x in images.unbind(1)]
            images = torch.stack(turned, 1)
        return {**batch, REFERENCES: images}

    def _choose(self, k: int, position: int) -> Tensor:
        candidates = self.references.of(position)
        rng = np.random.default_rng([self.seed, _REFERENCES, k])
        return candidates[torch.from_numpy(rng.integers(len(candidates), size=self.count))]


class ReferencedScenes(Scenes):
    """Pairs in their order, each with its nearest references.

    Args:
        references: Gives the candidates of each pair.
        count: Number of references of a pair.
    """

    def __init__(self, references: References, count: int) -> None:
        pairs = references.pairs
        super().__init__(pairs.modalities, pairs.ids, pairs.fields)
        self.references, self.count = references, count

    @property
    def sha256(self) -> str:
        return self.references.pairs.sha256

    def pictures(self, index: Tensor) -> Batch:
        return self.references.pairs.pictures(index)

    def fetch(self, positions: Sequence[int]) -> Batch:
        index = torch.as_tensor(positions, dtype=torch.int64)
        return {**super().fetch(positions), REFERENCES: self.references.nearest(index, self.count)}
