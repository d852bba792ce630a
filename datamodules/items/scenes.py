"""Scenes: items of a split that are known in several modalities."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor

from datamodules.items.modalities import Modality
from datamodules.items.splits import Batch, Split, content_hash, to_unit_range


class Scenes(Split):
    """Scenes in a fixed order, each in every modality of the split.

    `fetch` returns one entry per modality, one per field, and `index` (N,).

    Args:
        modalities: Name -> what it is.
        ids: Identity of each scene; one scene has the same in every split and data set.
        fields: See `Split`.
    """

    def __init__(
        self, modalities: Mapping[str, Modality], ids: Sequence[str], fields: Batch
    ) -> None:
        super().__init__(fields)
        self.modalities, self.ids = dict(modalities), list(ids)

    def __len__(self) -> int:
        return len(self.ids)

    @abstractmethod
    def pictures(self, index: Tensor) -> Batch:
        """Return every modality of the scenes at positions `index` (N,)."""

    def images(self, index: Tensor) -> Tensor:
        """Return the first modality that is an image."""
        name = next(name for name, each in self.modalities.items() if each.kind == "image")
        return self.pictures(index)[name]

    def fetch(self, positions: Sequence[int]) -> Batch:
        index = torch.as_tensor(positions, dtype=torch.int64)
        fields = {name: field[index] for name, field in self.fields.items()}
        return {**self.pictures(index), **fields, "index": index}


class MemoryScenes(Scenes):
    """Scenes held in memory.

    Args:
        modalities: Name -> what it is.
        stored: Name -> uint8 (N, C, H, W) of an image, float (N, 1, H, W) metres of depth, uint8
            (N, H, W) of labels.
        ids: See `Scenes`.
        fields: See `Split`.
        sha256: Hash of the content where it is not that of `stored` and `fields`.
    """

    def __init__(
        self,
        modalities: Mapping[str, Modality],
        stored: Batch,
        ids: Sequence[str],
        fields: Batch | None = None,
        sha256: str | None = None,
    ) -> None:
        super().__init__(modalities, ids, fields or {})
        self.stored = stored
        self._sha256 = sha256

    @cached_property
    def sha256(self) -> str:
        return self._sha256 or content_hash({**self.stored, **self.fields})

    def pictures(self, index: Tensor) -> Batch:
        return {
            name: _to_values(modality, self.stored[name][index])
            for name, modality in self.modalities.items()
        }


def _to_values(modality: Modality, stored: Tensor) -> Tensor:
    if modality.kind == "image":
        return to_unit_range(stored)
    return stored.float() if modality.kind == "depth" else stored.long()
