"""What the data modules of translation share: training sets of scenes, hidden tuples, loaders."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Literal, cast, get_args

import pytorch_lightning as pl
from torch.utils.data import DataLoader

from datamodules.errors import DataError
from datamodules.items.modalities import Modality
from datamodules.items.scenes import Scenes
from datamodules.items.splits import Batch
from datamodules.items.stream import (
    Augment,
    Stream,
    StreamLoader,
    _Together,
    ordered_loader,
    training_loader,
)

HeldOut = Literal["val", "test"]
_LISTED = 5


class TranslationData(pl.LightningDataModule):
    """Training sets that know their scenes in some of the modalities, and hidden complete tuples.

    A training batch is {set: {modality: tensor, ...}} with `batch_size` scenes of every set, each
    from an endless seeded stream of its own. The scenes of two sets are disjoint, and neither has
    one of `val` or `test`: what two sets shared would be a pair that no set admits to. There all
    modalities are known; nothing may be trained on them.

    A subclass sets `modalities` and `aligned`, and defines `load_set` and `load_held_out`.

    Args:
        sets: Training set -> names of its modalities.
        batch_size: Scenes of every set per batch and process.
        num_workers: Processes that prepare batches.
        seed: Of the orders of the scenes and of their augmentation.
        augment: Changes all modalities of a scene alike.

    Attributes:
        modalities: Name -> what it is.
        aligned: Do all modalities of an item of `val` and `test` show one scene?
    """

    modalities: dict[str, Modality]
    aligned: bool = True

    def __init__(
        self,
        sets: dict[str, list[str]],
        batch_size: int,
        num_workers: int,
        seed: int,
        augment: Augment | None = None,
    ) -> None:
        super().__init__()
        if not sets or not all(sets.values()):
            raise DataError("sets is empty or has an empty set; give {name: [modality, ...]}.")
        self.sets = {name: list(modalities) for name, modalities in sets.items()}
        self.batch_size, self.num_workers, self.seed = batch_size, num_workers, seed
        self.augment = augment
        self._loaded: dict[str, Scenes] = {}

    @abstractmethod
    def load_set(self, name: str) -> Scenes:
        """Read or render the scenes of one training set in its modalities."""

    @abstractmethod
    def load_held_out(self, name: HeldOut) -> Scenes:
        """Read or render the scenes of `val` or `test` in all modalities."""

    def has_split(self, name: str) -> bool:
        """Tell whether there are held-out scenes of this name."""
        return name in ("val", "test")

    def split(self, name: str) -> Scenes:
        """Return the hidden tuples of `val` or `test`, read at first use and kept."""
        if name not in get_args(HeldOut):
            raise DataError(
                f"There is no split {name!r} with all modalities; there are val and test, and the "
                f"training sets {', '.join(self.sets)}."
            )
        if name not in self._loaded:
            self._loaded[name] = self.load_held_out(cast("HeldOut", name))
        return self._loaded[name]

    def training_set(self, name: str) -> Scenes:
        """Return one training set, read at first use and kept."""
        if name not in self.sets:
            raise DataError(f"There is no set {name!r}; there are {', '.join(self.sets)}.")
        key = f"train/{name}"
        if key not in self._loaded:
            self._loaded[key] = self.load_set(name)
        return self._loaded[key]

    def seen(self, source: str, target: str) -> bool:
        """Tell whether some training set has both modalities."""
        return any(source in names and target in names for names in self.sets.values())

    def setup(self, stage: str) -> None:
        """Read what the stage needs, so that bad data is reported before anything is trained."""
        self._check_names()
        if stage == "fit":
            parts = {f"set {name}": self.training_set(name).ids for name in self.sets}
            for name in ("val", "test"):
                if self.has_split(name):
                    parts[name] = self.split(name).ids
            refuse_leaks(parts)
        elif self.has_split("val" if stage == "validate" else "test"):
            self.split("val" if stage == "validate" else "test")

    def train_dataloader(self) -> StreamLoader:
        streams = {
            name: Stream(self.training_set(name), self.seed + number, self.augment)
            for number, name in enumerate(self.sets)
        }
        return training_loader(self, _Together(streams), self.batch_size, self.num_workers)

    def val_dataloader(self) -> DataLoader[Batch] | list[DataLoader[Batch]]:
        return self._ordered("val") if self.has_split("val") else []

    def test_dataloader(self) -> DataLoader[Batch] | list[DataLoader[Batch]]:
        return self._ordered("test") if self.has_split("test") else []

    def describe(self) -> dict[str, object]:
        """Say in JSON-able values which scenes these are: hashes, counts and modalities."""
        sets = {f"train/{name}": self.training_set(name) for name in self.sets}
        held_out = {name: self.split(name) for name in ("val", "test") if self.has_split(name)}
        return {
            "data": type(self).__name__,
            "sets": self.sets,
            "splits": {
                name: {"scenes": len(scenes), "sha256": scenes.sha256}
                for name, scenes in {**sets, **held_out}.items()
            },
        }

    def _check_names(self) -> None:
        for name, wanted in self.sets.items():
            for modality in wanted:
                if modality not in self.modalities:
                    raise DataError(
                        f"The set {name} has the modality {modality!r}, which is not among "
                        f"{', '.join(self.modalities)}; correct the name or declare it."
                    )

    def _ordered(self, name: str) -> DataLoader[Batch]:
        return ordered_loader(self.split(name), self.batch_size, self.num_workers)


def refuse_leaks(parts: Mapping[str, Sequence[str]]) -> None:
    """Raise DataError, naming scenes, if a scene is in two parts.

    Args:
        parts: Name of a set or split -> identities of its scenes.
    """
    for (one, first), (other, second) in combinations(parts.items(), 2):
        shared = sorted(set(first) & set(second))
        if shared:
            more = f" and {len(shared) - _LISTED} more" if len(shared) > _LISTED else ""
            raise DataError(
                f"{one} and {other} share {len(shared)} scenes: {', '.join(shared[:_LISTED])}"
                f"{more}; give each scene to one of them."
            )
