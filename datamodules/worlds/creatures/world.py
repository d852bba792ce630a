"""A world of animals' faces: domains that differ in shape, each of many looks."""

import torch

from datamodules.base.translation_data import HeldOut, TranslationData
from datamodules.errors import DataError
from datamodules.items.modalities import Modality
from datamodules.items.scenes import MemoryScenes
from datamodules.worlds.canvas.dice import Dice
from datamodules.worlds.creatures.drawing import DRAWERS, draw_creatures

KINDS = list(DRAWERS)

_SIZES = (16, 128)  # pixels
_PIXELS = 2**16  # at a time, so that intermediate results stay in a core's cache
_BLOCK = 1_000_000  # indices that each kind has for itself in each part
_PARTS = ("val", "test", "train")


def render(world_seed: int, kind: str, index: torch.Tensor, size: int) -> torch.Tensor:
    """Return images uint8 (N, 3, size, size) of a kind.

    Args:
        world_seed: Names the world.
        kind: One of `KINDS`.
        index: Which images, int64 (N,). One index gives one pose, fur and place, whatever the kind.
        size: Side in pixels.
    """
    chunks = [
        draw_creatures(kind, Dice(2 * world_seed + 1, some), size)
        for some in torch.split(index, max(1, _PIXELS // size**2))
    ]
    return torch.cat(chunks).mul_(255).round_().to(torch.uint8)


class Creatures(TranslationData):
    """Faces of cats, dogs and rabbits, a domain each, in any fur, pose and place.

    Image i of a kind is a pure function of `world_seed`, the part of the data and i. The first n
    training images of a kind are the same whatever number is asked for. No two images of two
    domains share a roll, in training or held out.

    Args:
        kinds: Names and order of the domains; None: all of `KINDS`.
        image_size: Side in pixels, 16 to 128.
        images_per_set: Images of each domain to train on.
        n_val: Images of each domain in `val`.
        n_test: Images of each domain in `test`.
        world_seed: Of the images.
        batch_size: Images of every domain per batch and process.
        num_workers: Processes that prepare batches; the images are in memory, so 0 is fastest.
        seed: Of the orders of the images and of their augmentation.
    """

    aligned = False

    def __init__(
        self,
        kinds: list[str] | None = None,
        image_size: int = 64,
        images_per_set: int = 1500,
        n_val: int = 200,
        n_test: int = 500,
        world_seed: int = 0,
        batch_size: int = 4,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        self.kinds = _known(kinds)
        super().__init__({name: [name] for name in self.kinds}, batch_size, num_workers, seed)
        self.modalities = {
            name: Modality("image", 3, label=number) for number, name in enumerate(self.kinds)
        }
        if not _SIZES[0] <= image_size <= _SIZES[1]:
            raise DataError(f"image_size is {image_size}; give {_SIZES[0]} to {_SIZES[1]} pixels.")
        if world_seed < 0:
            raise DataError(f"world_seed is {world_seed}; give 0 or more.")
        for count in (images_per_set, n_val, n_test):
            if not 1 <= count <= _BLOCK:
                raise DataError(f"{count} images were asked for; give 1 to {_BLOCK}.")
        self.image_size, self.world_seed = image_size, world_seed
        self.images_per_set = images_per_set
        self.counts: dict[HeldOut, int] = {"val": n_val, "test": n_test}

    def load_set(self, name: str) -> MemoryScenes:
        return self._load("train", self.images_per_set, [name])

    def load_held_out(self, name: HeldOut) -> MemoryScenes:
        return self._load(name, self.counts[name], self.kinds)

    def describe(self) -> dict[str, object]:
        return {
            **super().describe(),
            "image_size": self.image_size,
            "world_seed": self.world_seed,
        }

    def _load(self, part: str, count: int, names: list[str]) -> MemoryScenes:
        first = {
            name: (_PARTS.index(part) * len(KINDS) + KINDS.index(name)) * _BLOCK for name in names
        }
        stored = {
            name: render(self.world_seed, name, torch.arange(start, start + count), self.image_size)
            for name, start in first.items()
        }
        start = first[names[0]]
        ids = [f"creature-{i:07d}" for i in range(start, start + count)]
        return MemoryScenes({name: self.modalities[name] for name in names}, stored, ids)


def _known(kinds: list[str] | None) -> list[str]:
    chosen = KINDS if kinds is None else list(kinds)
    for name in chosen:
        if name not in KINDS:
            raise DataError(f"There is no kind {name!r}; the kinds are {', '.join(KINDS)}.")
    if len(chosen) < 2 or len(set(chosen)) < len(chosen):
        raise DataError(f"kinds is {chosen}; name two or more, each once.")
    return list(chosen)
