"""A world of flowers in opponent colours: red-green, green-blue, and all three channels."""

from typing import NamedTuple

import torch
from torch import Tensor

from datamodules.augment.images import TransformSpec
from datamodules.base.image_data import ImageDataModule, SplitName
from datamodules.base.translation_data import HeldOut, TranslationData
from datamodules.errors import DataError
from datamodules.items.modalities import Modality
from datamodules.items.scenes import MemoryScenes
from datamodules.items.splits import MemoryImages
from datamodules.worlds.canvas.dice import Dice
from datamodules.worlds.opponents.flowers import SHAPES, draw_flowers

MODALITIES = {"rg": Modality("image", 1), "gb": Modality("image", 1), "rgb": Modality("image", 3)}


class Flower(NamedTuple):
    """A class: the shape of the petals, of `SHAPES`, and their RGB colour in [0, 1]."""

    shape: str
    colour: tuple[float, float, float]


# R - G and G - B of a colour say which classes of one shape a modality can tell apart.
FLOWERS = {
    "daisy": Flower("ray", (0.93, 0.93, 0.90)),  # R - G as the aster's
    "aster": Flower("ray", (0.40, 0.40, 0.90)),
    "sunflower": Flower("ray", (0.95, 0.62, 0.06)),
    "primrose": Flower("round", (0.94, 0.82, 0.76)),  # R - G as the buttercup's
    "buttercup": Flower("round", (0.94, 0.82, 0.10)),
    "periwinkle": Flower("round", (0.26, 0.38, 0.88)),  # G - B as the geranium's
    "geranium": Flower("round", (0.86, 0.16, 0.66)),
    "lily": Flower("pointed", (0.93, 0.91, 0.86)),  # G - B as the amaryllis's
    "amaryllis": Flower("pointed", (0.82, 0.10, 0.05)),
    "tiger lily": Flower("pointed", (0.94, 0.52, 0.10)),
}
CLASSES = list(FLOWERS)

_SHAPE = torch.tensor([SHAPES.index(flower.shape) for flower in FLOWERS.values()])
_COLOUR = torch.tensor([flower.colour for flower in FLOWERS.values()])
_JITTER = 0.05  # of each channel, less than any colour is away from 0 and 1
_SIZES = (16, 128)  # pixels
_PIXELS = 2**15  # at a time, so that intermediate results stay in a core's cache
_BLOCK = 1_000_000  # indices that each set and split has for itself
_FIRST: dict[HeldOut, int] = {"val": 0, "test": _BLOCK}
_JUDGE: dict[SplitName, int] = {"train": 2 * _BLOCK, "val": 3 * _BLOCK, "test": 4 * _BLOCK}
_FIRST_SET = 5


def render(world_seed: int, index: Tensor, label: Tensor, size: int) -> Tensor:
    """Return colour images uint8 (N, 3, size, size).

    All but the class follows from (world_seed, index), so a label that is changed changes the
    petals only, and within one shape their colour only.

    Args:
        world_seed: Names the world.
        index: Which images, int64 (N,).
        label: Class of each (N,).
        size: Side in pixels.
    """
    chunks = []
    step = max(1, _PIXELS // size**2)
    for some, flower in zip(torch.split(index, step), torch.split(label, step), strict=True):
        dice = Dice(world_seed, some)
        colour = _COLOUR[flower] + dice.several(3, -_JITTER, _JITTER)
        canvas = draw_flowers(_SHAPE[flower], colour, dice, size)
        chunks.append(canvas.clamp_(0, 1).mul_(255).round_().to(torch.uint8))
    return torch.cat(chunks)


def opponent(pixels: Tensor, plus: int, minus: int) -> Tensor:
    """Return half the difference of two channels, shifted, as uint8 (N, 1, H, W).

    As values in [-1, 1] it is at most 1/255 below half the difference of the channels' values.

    Args:
        pixels: uint8 (N, 3, H, W).
        plus: Number of the channel from which is subtracted.
        minus: Number of the channel that is subtracted.
    """
    difference = pixels[:, plus].short() - pixels[:, minus].short()
    return ((difference + 255) // 2).to(torch.uint8)[:, None]


def label_of(index: Tensor) -> Tensor:
    """Return the class of images `index` (N,)."""
    return index % len(CLASSES)


class Opponents(TranslationData):
    """Flowers as R - G (`rg`), as G - B (`gb`) and in colour (`rgb`); `label` is their class.

    The three are those of the flowers of Mix-and-Match Networks with pseudo-pairs (Wang, Herranz,
    van de Weijer 2020, doi:10.1007/s11263-020-01340-z). `rg` shows daisies and asters alike, and
    primroses and buttercups; `gb` lilies and amaryllises, periwinkles and geraniums; each shows
    what the other lacks. So 8 of 10 classes are the most that can be named on average from one of
    the two, 10 from both, and 6 from what both show alike.

    Flower i is a pure function of `world_seed` and i, and its class is i mod 10. Each set and each
    split has indices of its own.

    Args:
        sets: Training set -> names of its modalities; default: rg with gb, and rg with rgb, so that
            gb and rgb are never seen together.
        image_size: Side in pixels, 16 to 128.
        images_per_set: Images of each training set.
        n_val: Images of `val`.
        n_test: Images of `test`.
        world_seed: Of the images.
        batch_size: Images of every set per batch and process.
        num_workers: Processes that prepare batches; the images are in memory, so 0 is fastest.
        seed: Of the orders of the images.
    """

    def __init__(
        self,
        sets: dict[str, list[str]] | None = None,
        image_size: int = 32,
        images_per_set: int = 1000,
        n_val: int = 200,
        n_test: int = 500,
        world_seed: int = 0,
        batch_size: int = 16,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        default = {"a": ["rg", "gb"], "b": ["rg", "rgb"]}
        super().__init__(default if sets is None else sets, batch_size, num_workers, seed)
        self.modalities = dict(MODALITIES)
        self._check_names()
        _check(image_size, world_seed, (images_per_set, n_val, n_test))
        self.image_size, self.images_per_set, self.world_seed = (
            image_size,
            images_per_set,
            world_seed,
        )
        self.counts: dict[HeldOut, int] = {"val": n_val, "test": n_test}

    @property
    def class_names(self) -> list[str]:
        """Names of the classes that the field `label` counts."""
        return CLASSES

    def load_set(self, name: str) -> MemoryScenes:
        first = (_FIRST_SET + list(self.sets).index(name)) * _BLOCK
        return self._load(first, self.images_per_set, self.sets[name])

    def load_held_out(self, name: HeldOut) -> MemoryScenes:
        return self._load(_FIRST[name], self.counts[name], list(MODALITIES))

    def describe(self) -> dict[str, object]:
        return {
            **super().describe(),
            "image_size": self.image_size,
            "world_seed": self.world_seed,
        }

    def _load(self, first: int, count: int, names: list[str]) -> MemoryScenes:
        index = torch.arange(first, first + count)
        label = label_of(index)
        rgb = render(self.world_seed, index, label, self.image_size)
        stored = {"rg": opponent(rgb, 0, 1), "gb": opponent(rgb, 1, 2), "rgb": rgb}
        return MemoryScenes(
            {name: MODALITIES[name] for name in names},
            {name: stored[name] for name in names},
            [f"flower-{i:06d}" for i in index.tolist()],
            {"label": label},
        )


class Flowers(ImageDataModule):
    """The flowers of `Opponents` in colour, with their classes, to train a classifier that judges.

    No image of any split is in one of `Opponents`.

    Args:
        image_size: Side in pixels, 16 to 128.
        train_images: Images to train on.
        held_out_images: Images in val, and as many in test.
        world_seed: Of the images.
        batch_size: Images per batch and process.
        num_workers: Processes that prepare batches; the images are in memory, so 0 is fastest.
        seed: Of the order of the training images and of their augmentation.
        augment: Transforms of the training images; see `datamodules.transforms.build_augment`.
    """

    resize_rule = "rendered at image_size, 8 bits"
    split_rule = "rendered from (world_seed, i) with other i for each split and data module"

    def __init__(
        self,
        image_size: int = 32,
        train_images: int = 4000,
        held_out_images: int = 500,
        world_seed: int = 0,
        batch_size: int = 64,
        num_workers: int = 0,
        seed: int = 0,
        augment: list[TransformSpec] | None = None,
    ) -> None:
        super().__init__(image_size, 3, batch_size, num_workers, seed, augment)
        _check(image_size, world_seed, (train_images, held_out_images))
        self.world_seed = world_seed
        self.counts = {"train": train_images, "val": held_out_images, "test": held_out_images}

    @property
    def class_names(self) -> list[str]:
        return CLASSES

    def load_split(self, name: SplitName) -> MemoryImages:
        index = torch.arange(self.counts[name]) + _JUDGE[name]
        label = label_of(index)
        pixels = render(self.world_seed, index, label, self.image_size)
        return MemoryImages(pixels, {"label": label})


def _check(image_size: int, world_seed: int, counts: tuple[int, ...]) -> None:
    if not _SIZES[0] <= image_size <= _SIZES[1]:
        raise DataError(f"image_size is {image_size}; give {_SIZES[0]} to {_SIZES[1]} pixels.")
    if world_seed < 0:
        raise DataError(f"world_seed is {world_seed}; give 0 or more.")
    for count in counts:
        if not 1 <= count <= _BLOCK:
            raise DataError(f"{count} images were asked for; give 1 to {_BLOCK}.")
