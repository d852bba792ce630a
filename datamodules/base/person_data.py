"""What data of masks and people share: pairs of mask and image, and each person's pool of images."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from datamodules.base.translation_data import HeldOut, TranslationData
from datamodules.errors import DataError
from datamodules.items.scenes import Scenes
from datamodules.items.splits import Batch
from datamodules.items.stream import Augment, Stream, StreamLoader, _Together, training_loader

PAIRS = "pairs"  # the one training set
MASK, IMAGE, STYLE, PERSON = "mask", "image", "style", "person"
PartName = Literal["train", "val", "test"]


class PersonData(TranslationData):
    """Pairs of a mask and an image of a person, who has a pool of further images: the styles.

    Persons of `train`, `val` and `test` are different people. A pair has the field `person` (N,),
    a number that pairs and pools of all splits share. With `style_images` a training batch has
    `style` too, (N, style_images, C, H, W): images of the pair's person, never the pair's own one.

    A subclass sets `modalities`, `mask` and `image`, and defines `load_pairs` and `load_pool`.

    Args:
        style_images: Images of its person that go with each training pair; 0: none.
        batch_size: Pairs per batch and process.
        num_workers: Processes that prepare batches.
        seed: Of the orders of the pairs, of their styles and their augmentation.
        augment: Changes mask and image of a pair alike.
    """

    def __init__(
        self,
        style_images: int,
        batch_size: int,
        num_workers: int,
        seed: int,
        augment: Augment | None = None,
    ) -> None:
        super().__init__({PAIRS: [MASK, IMAGE]}, batch_size, num_workers, seed, augment)
        if style_images < 0:
            raise DataError(f"style_images is {style_images}; give 0 or more.")
        self.style_images = style_images
        self._pools: dict[str, Pool] = {}
        self._ranked: dict[str, Tensor] = {}

    @abstractmethod
    def load_pairs(self, part: PartName) -> Scenes:
        """Read or render the pairs of a split, with the field `person`."""

    @abstractmethod
    def load_pool(self, part: PartName) -> "Pool":
        """Read or render the pool of a split."""

    def load_set(self, name: str) -> Scenes:  # noqa: ARG002 - the only one
        return self.load_pairs("train")

    def load_held_out(self, name: HeldOut) -> Scenes:
        return self.load_pairs(name)

    def pairs(self, part: PartName) -> Scenes:
        """Return the pairs of `train`, `val` or `test`."""
        return self.training_set(PAIRS) if part == "train" else self.split(part)

    def pool(self, part: str) -> "Pool":
        """Return the pool of `train`, `val` or `test`, read at first use and kept."""
        if part not in get_args(PartName):
            raise DataError(f"There is no pool {part!r}; there are train, val and test.")
        if part not in self._pools:
            self._pools[part] = self.load_pool(part)
        return self._pools[part]

    def candidates(self, part: PartName) -> list[Tensor]:
        """Return, for each pair of a split, positions in the pool of images that may be its style.

        They are its person's, without the pair's own image: those that `use_ranking` was given, the
        nearest first, or all in their order.
        """
        pairs, pool = self.pairs(part), self.pool(part)
        if part in self._ranked:
            return list(self._ranked[part])
        of = pool.by_person()
        return [
            without(of.get(person, _NOBODY), pool.position_of(name))
            for person, name in zip(pairs.fields[PERSON].tolist(), pairs.ids, strict=True)
        ]

    def use_ranking(self, part: PartName, index: Tensor) -> None:
        """Take as candidates of each pair of a split the images at positions `index` (N, k)."""
        pairs, pool = self.pairs(part), self.pool(part)
        if len(index) != len(pairs) or not len(pool) > int(index.max()) >= int(index.min()) >= 0:
            raise DataError(
                f"The ranking of {part} is for {len(index)} pairs and a pool of "
                f"{int(index.max()) + 1} or more; there are {len(pairs)} and {len(pool)}: rank anew."
            )
        strangers = pool.person[index] != pairs.fields[PERSON][:, None]
        own = torch.tensor([pool.position_of(name) for name in pairs.ids])
        if strangers.any() or (index == own[:, None]).any():
            raise DataError(f"The ranking of {part} has images of others, or a pair's own; rank anew.")
        self._ranked[part] = index

    def setup(self, stage: str) -> None:
        super().setup(stage)
        if stage == "fit":
            parts = [part for part in get_args(PartName) if part == "train" or self.has_split(part)]
            self.refuse_shared_persons({part: self.pairs(part).fields[PERSON] for part in parts})
            if self.style_images:
                check_pool(self.candidates("train"), self.pairs("train").ids)

    def train_dataloader(self) -> StreamLoader:
        pairs = self.training_set(PAIRS)
        if not self.style_images:
            return super().train_dataloader()
        styles = Styles(self.pool("train"), self.candidates("train"), self.style_images)
        stream = _StyledStream(pairs, self.seed, self.augment, styles)
        return training_loader(self, _Together({PAIRS: stream}), self.batch_size, self.num_workers)
