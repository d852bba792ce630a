"""What the data modules of images without partners share: loaders, splits and their description."""

from abc import abstractmethod
from typing import Literal, get_args

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from datamodules.augment.images import TransformSpec, build_augment
from datamodules.errors import DataError
from datamodules.items.splits import Batch, Split
from datamodules.items.stream import Stream, StreamLoader, ordered_loader, training_loader

SplitName = Literal["train", "val", "test"]


class ImageDataModule(pl.LightningDataModule):
    """Images, with or without classes, in three splits.

    A subclass defines `load_split`, `resize_rule` and `split_rule`. Training batches come from an
    endless seeded stream; validation, test and prediction (on the test split) are in order.

    Args:
        image_size: Height and width in pixels.
        image_channels: 1 (grey) or 3 (RGB).
        batch_size: Images per batch and process.
        num_workers: Processes that prepare batches.
        seed: Of the order of the training images and of their augmentation.
        augment: Transforms of the training images; see `datamodules.transforms.build_augment`.
    """

    resize_rule: str
    split_rule: str

    def __init__(
        self,
        image_size: int,
        image_channels: int,
        batch_size: int,
        num_workers: int,
        seed: int,
        augment: list[TransformSpec] | None,
    ) -> None:
        super().__init__()
        if image_size < 1:
            raise DataError(f"image_size is {image_size}; give 1 pixel or more.")
        if image_channels not in (1, 3):
            raise DataError(f"channels is {image_channels}; give 1 (grey) or 3 (RGB).")
        self.image_size, self.image_channels = image_size, image_channels
        self.batch_size, self.num_workers, self.seed = batch_size, num_workers, seed
        self.augment = build_augment(augment) if augment else None
        self._splits: dict[SplitName, Split] = {}

    @property
    def class_names(self) -> list[str]:
        """Names of the classes that labels count; [] without labels."""
        return []

    @property
    def num_classes(self) -> int:
        """Number of classes that labels count; 0 without labels."""
        return len(self.class_names)

    @abstractmethod
    def load_split(self, name: SplitName) -> Split:
        """Read or render one split."""

    def has_split(self, name: SplitName) -> bool:  # noqa: ARG002 - subclasses decide by name
        """Tell whether the split was asked for at all."""
        return True

    def split(self, name: SplitName) -> Split:
        """Return a split in order, without augmentation; read at first use and kept."""
        if name not in get_args(SplitName):
            raise DataError(f"There is no split {name!r}; the splits are train, val and test.")
        if name not in self._splits:
            self._splits[name] = self.load_split(name)
        return self._splits[name]

    def setup(self, stage: str) -> None:
        """Read what the stage needs, so that bad data is reported before anything is trained."""
        needed: dict[str, tuple[SplitName, ...]] = {"fit": ("train", "val"), "validate": ("val",)}
        for name in needed.get(stage, ("test",)):
            if self.has_split(name):
                self.split(name)

    def train_dataloader(self) -> StreamLoader:
        stream = Stream(self.split("train"), self.seed, self.augment)
        return training_loader(self, stream, self.batch_size, self.num_workers)

    def val_dataloader(self) -> DataLoader[Batch] | list[DataLoader[Batch]]:
        return self._ordered("val") if self.has_split("val") else []

    def test_dataloader(self) -> DataLoader[Batch]:
        return self._ordered("test")

    def predict_dataloader(self) -> DataLoader[Batch]:
        return self._ordered("test")

    def describe(self) -> dict[str, object]:
        """Say in JSON-able values which images these are: hashes, counts and rules."""
        names = [name for name in get_args(SplitName) if self.has_split(name)]
        return {
            "data": type(self).__name__,
            "image_size": self.image_size,
            "channels": self.image_channels,
            "resize_rule": self.resize_rule,
            "split_rule": self.split_rule,
            "splits": {name: self._describe(self.split(name)) for name in names},
        }

    def _describe(self, split: Split) -> dict[str, object]:
        described: dict[str, object] = {"images": len(split), "sha256": split.sha256}
        if self.class_names:
            counts = torch.bincount(split.fields["label"], minlength=self.num_classes).tolist()
            described["per_class"] = dict(zip(self.class_names, counts, strict=True))
        return described

    def _ordered(self, name: SplitName) -> DataLoader[Batch]:
        return ordered_loader(self.split(name), self.batch_size, self.num_workers)
