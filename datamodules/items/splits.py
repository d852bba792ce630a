"""A split: an ordered set of images with labels, fetched by batches of positions."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor
from torch.utils.data import Dataset

Batch = dict[str, Tensor]


def to_unit_range(pixels: Tensor) -> Tensor:
    """Map uint8 pixels in [0, 255] to float32 in [-1, 1]."""
    return pixels.to(torch.float32).div_(127.5).sub_(1.0)


class Split(Dataset[Batch], ABC):
    """Images of one split in a fixed order, without augmentation.

    `split[i]` is one item, `split.fetch(positions)` a whole batch: `image` (N, C, H, W) float32 in
    [-1, 1], `index` (N,) int64 = position in the split, and one entry per field. A stock
    `DataLoader(split, batch_size)` works too.

    Args:
        fields: What is known of each image, tensors of length N; `label` is int64 (N,) in
            0..num_classes - 1.
    """

    def __init__(self, fields: Batch) -> None:
        self.fields = fields

    @property
    @abstractmethod
    def sha256(self) -> str:
        """Hash of everything that the split holds, in order."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def images(self, index: Tensor) -> Tensor:
        """Return the images at positions `index` (N,) as float32 (N, C, H, W) in [-1, 1]."""

    def fetch(self, positions: Sequence[int]) -> Batch:
        """Return the batch of the images at `positions`, in that order, repeats allowed."""
        index = torch.as_tensor(positions, dtype=torch.int64)
        fields = {name: field[index] for name, field in self.fields.items()}
        return {"image": self.images(index), **fields, "index": index}

    def __getitem__(self, position: int) -> Batch:
        return self.__getitems__([position])[0]

    def __getitems__(self, positions: Sequence[int]) -> list[Batch]:
        batch = self.fetch(positions)
        return [dict(zip(batch, item, strict=True)) for item in zip(*batch.values(), strict=True)]


class MemoryImages(Split):
    """A split held in memory.

    Args:
        pixels: uint8 (N, C, H, W).
        fields: See `Split`.
        sha256: Hash of the content where it is not that of `pixels` and `fields`.
    """

    def __init__(self, pixels: Tensor, fields: Batch, sha256: str | None = None) -> None:
        super().__init__(fields)
        self.pixels = pixels
        self._sha256 = sha256

    @cached_property
    def sha256(self) -> str:
        return self._sha256 or content_hash({"image": self.pixels, **self.fields})

    def __len__(self) -> int:
        return len(self.pixels)

    def images(self, index: Tensor) -> Tensor:
        return to_unit_range(self.pixels[index])

    def subset(self, positions: Tensor) -> "MemoryImages":
        """Return the images at `positions` (M,) as a split of their own."""
        fields = {name: field[positions] for name, field in self.fields.items()}
        return MemoryImages(self.pixels[positions], fields)


def content_hash(tensors: Batch) -> str:
    """Return the SHA-256 of named tensors: names, dtypes, shapes and values."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()
