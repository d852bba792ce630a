"""Real handwritten digits that need no download: the 1,797 of scikit-learn (UCI optdigits)."""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.augment.images import TransformSpec
from datamodules.base.image_data import ImageDataModule, SplitName
from datamodules.errors import DataError
from datamodules.items.splits import MemoryImages
from datamodules.labelled.class_counts import (
    check_classes,
    check_counts,
    first_of_each,
    in_proportion,
)

HELD_OUT: dict[SplitName, int] = {"val": 12, "test": 24}  # images of each class
NAMES = [str(digit) for digit in range(10)]


class Digits(ImageDataModule):
    """Handwritten digits 0 to 9, all of them or a mix of classes by count.

    Split: of each class, 36 images evenly spaced in file order are held out, every third for val,
    the others for test; so train has 1,437 images (138 to 147 a class), val 12 and test 24 of each.

    A mix takes the first `counts[c]` training images of each class c in file order. Its val and
    test splits keep the same proportions: all held-out images of the largest class, and the first
    of every other in proportion, rounded, at least one.

    Args:
        image_size: Side in pixels; the 8x8 originals are resized bicubically and clamped.
        channels: 1, or 3 with the grey value repeated.
        classes: Digits to keep; all when None.
        counts: A mix, e.g. {2: 60, 7: 140}; instead of `classes`.
        limit: Keep only the first `limit` training images; instead of `counts`.
        relabel: Number the kept classes 0, 1, ... in ascending order of their digits.
        batch_size: Images per batch and process.
        num_workers: Processes that prepare batches; the images are in memory, so 0 is fastest.
        seed: Of the order of the training images and of their augmentation.
        augment: Transforms of the training images; see `datamodules.transforms.build_augment`.
    """

    resize_rule = "8x8 to image_size: bicubic (torch, antialias), clamped, rounded to 8 bits"
    split_rule = "36 of each class evenly spaced in file order held out: every third val, else test"

    def __init__(
        self,
        image_size: int = 16,
        channels: int = 1,
        classes: list[int] | None = None,
        counts: dict[int, int] | None = None,
        limit: int | None = None,
        relabel: bool = False,
        batch_size: int = 64,
        num_workers: int = 0,
        seed: int = 0,
        augment: list[TransformSpec] | None = None,
    ) -> None:
        super().__init__(image_size, channels, batch_size, num_workers, seed, augment)
        if counts is not None and (classes is not None or limit is not None):
            raise DataError("counts already says which classes and how many; drop classes, limit.")
        if limit is not None and limit < 1:
            raise DataError(f"limit is {limit}; keep 1 training image or more.")
        if counts is None:
            check_classes(range(10) if classes is None else classes, NAMES)
        else:
            check_counts(counts, NAMES)
        self.counts, self.limit, self.relabel = counts, limit, relabel
        self.classes = sorted(counts or (range(10) if classes is None else classes))

    @property
    def class_names(self) -> list[str]:
        return [NAMES[c] for c in self.classes] if self.relabel else NAMES

    def load_split(self, name: SplitName) -> MemoryImages:
        pixels, labels = _originals()
        kept = split_positions(labels)[name]
        kept = kept[self._chosen(labels[kept], name)]
        label = labels[kept]
        if self.relabel:
            label = torch.searchsorted(torch.tensor(self.classes), label)
        images = _resized(pixels[kept], self.image_size).expand(-1, self.image_channels, -1, -1)
        return MemoryImages(images.contiguous(), {"label": label})

    def _chosen(self, labels: Tensor, name: SplitName) -> Tensor:
        if self.counts is not None:
            held_out = HELD_OUT.get(name)
            counts = in_proportion(self.counts, held_out) if held_out else self.counts
            return first_of_each(labels, counts, NAMES)
        chosen = torch.nonzero(torch.isin(labels, torch.tensor(self.classes))).flatten()
        if name != "train" or self.limit is None:
            return chosen
        if len(chosen) < self.limit:
            raise DataError(
                f"limit asks for {self.limit} training images but there are {len(chosen)}; "
                f"ask for at most {len(chosen)}."
            )
        return chosen[: self.limit]


def split_positions(labels: Tensor) -> dict[SplitName, Tensor]:
    """Return the positions of each split, ascending, by the rule that `Digits` states."""
    held = torch.zeros(len(labels), dtype=torch.int64)
    total = sum(HELD_OUT.values())
    for digit in range(10):
        found = torch.nonzero(labels == digit).flatten()
        spaced = found[(torch.arange(total) * len(found)) // total]
        held[spaced], held[spaced[::3]] = 2, 1
    names: tuple[SplitName, ...] = ("train", "val", "test")
    return {name: torch.nonzero(held == i).flatten() for i, name in enumerate(names)}


@cache
def _originals() -> tuple[Tensor, Tensor]:
    from sklearn.datasets import load_digits  # a slow import, needed only here

    digits = load_digits()
    return torch.tensor(digits.images, dtype=torch.float32), torch.tensor(digits.target)


def _resized(images: Tensor, size: int) -> Tensor:
    """Resize (N, 8, 8) with values in [0, 16] to uint8 (N, 1, size, size)."""
    unit = images[:, None] / 16
    if size != 8:
        unit = F.interpolate(unit, (size, size), mode="bicubic", antialias=True)
    return unit.clamp(0, 1).mul(255).round().to(torch.uint8)
