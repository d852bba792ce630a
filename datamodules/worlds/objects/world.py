"""A world of objects that differ in nothing but their colour."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from datamodules.augment.images import TransformSpec
from datamodules.base.image_data import ImageDataModule, SplitName
from datamodules.base.translation_data import HeldOut, TranslationData
from datamodules.errors import DataError
from datamodules.items.modalities import Modality
from datamodules.items.scenes import MemoryScenes
from datamodules.items.splits import Batch, MemoryImages, to_unit_range
from datamodules.worlds.canvas.dice import Dice
from datamodules.worlds.canvas.shapes import DRAWERS, Painting, draw_objects

SHAPES = list(DRAWERS)
# The darkest and the lightest shade of each.
COLOURS = {
    "blue": ((0.04, 0.12, 0.50), (0.30, 0.52, 0.96)),
    "brown": ((0.26, 0.13, 0.06), (0.56, 0.34, 0.19)),
    "yellow": ((0.86, 0.72, 0.04), (1.00, 0.94, 0.36)),
    "green": ((0.04, 0.30, 0.08), (0.36, 0.76, 0.26)),
    "grey": ((0.34, 0.34, 0.35), (0.60, 0.60, 0.61)),
    "orange": ((0.88, 0.40, 0.02), (1.00, 0.60, 0.16)),
    "pink": ((0.94, 0.46, 0.62), (1.00, 0.74, 0.82)),
    "purple": ((0.28, 0.06, 0.42), (0.62, 0.34, 0.78)),
    "red": ((0.56, 0.02, 0.04), (0.94, 0.14, 0.13)),
    "white": ((0.86, 0.86, 0.85), (1.00, 1.00, 0.99)),
    "black": ((0.02, 0.02, 0.03), (0.14, 0.14, 0.15)),
}

_SHADES = torch.tensor(list(COLOURS.values()))  # (11, darkest and lightest, 3)
_LEAST_SATURATION = 0.7
_SIZES = (16, 128)  # pixels
_PIXELS = 2**15  # at a time, so that intermediate results stay in a core's cache
_BLOCK = 1_000_000  # indices that each domain and split has for itself
_FIRST: dict[HeldOut, int] = {"val": 0, "test": _BLOCK}
_JUDGE: dict[SplitName, int] = {"train": 2 * _BLOCK, "val": 3 * _BLOCK, "test": 4 * _BLOCK}
_FIRST_DOMAIN = 5
_FIRST_JUDGE = 100
_FIRST_SHAPE_JUDGE = 200


def sample_factors(world_seed: int, index: Tensor) -> Batch:
    """Return the factors of objects `index` (N,), each tensor (N,).

    `shape` indexes `SHAPES` and is i mod 6; `shade` is 0 for the darkest shade of a colour and 1
    for the lightest; `saturation` is the share of the colour, from 0.7 to 1, that is not grey.
    """
    dice = Dice(2 * world_seed, index)
    return {
        "shape": index % len(SHAPES),
        "shade": dice.between(0, 1),
        "saturation": dice.between(_LEAST_SATURATION, 1),
    }


def sample_tones(world_seed: int, index: Tensor, n: int) -> list[Batch]:
    """Return `n` other pairs of `shade` and `saturation` of objects `index`, each tensor (N,)."""
    dice = Dice(2 * world_seed, index)
    pairs = [
        {"shade": dice.between(0, 1), "saturation": dice.between(_LEAST_SATURATION, 1)}
        for _ in range(n + 1)
    ]
    return pairs[1:]  # the first is the objects' own


def tone(colour: Tensor, factors: Batch) -> Tensor:
    """Return RGB (N, 3) in [0, 1] of colours (N,), numbers in `COLOURS`, toned by the factors."""
    darkest, lightest = _SHADES[colour].unbind(1)
    full = torch.lerp(darkest, lightest, factors["shade"][:, None])
    return torch.lerp(full.mean(1, keepdim=True), full, factors["saturation"][:, None])


def paint(world_seed: int, index: Tensor, factors: Batch, size: int) -> Painting:
    """Return pictures of objects `index` (N,) whose colour is open.

    Args:
        world_seed: Names the world.
        index: Which objects, int64 (N,).
        factors: As `sample_factors` returns, or changed.
        size: Side in pixels.
    """
    painting = Painting(
        torch.empty(len(index), 3, size, size), torch.empty(len(index), 1, size, size)
    )
    for number, shape in enumerate(SHAPES):
        positions = torch.nonzero(factors["shape"] == number).flatten()
        for some in torch.split(positions, max(1, _PIXELS // size**2)):
            drawn = draw_objects(shape, Dice(2 * world_seed + 1, index[some]), size)
            painting.fixed[some], painting.share[some] = drawn.fixed, drawn.share
    return painting


class Objects(TranslationData):
    """A domain of objects of each colour, without partners; held-out objects in every colour.

    The task is the recolouring of Mix-and-Match Networks (Wang, van de Weijer, Herranz 2018,
    arXiv:1804.02199). No two domains have an object in common. An item of `val` or `test` is one
    object in the same place, light, shade and saturation in all colours: what a translation should
    be like if it keeps all but the colour. Which shade another colour then has is this world's
    choice and cannot be known from unpaired images; compare colours by a classifier, and what lies
    outside `mask` by pixels.

    Object i is a pure function of `world_seed` and i. Besides the factors of `sample_factors`, the
    fields of held-out objects have `number`, which is i, `mask`, uint8 (N, 1, H, W): 1 where the
    colour shows at all, and `<domain>/colour`, which is the domain's position.

    Args:
        colours: Names and order of the domains; None: all of `COLOURS`. `Modality.label` of each is
            its position here.
        image_size: Side in pixels, 16 to 128.
        images_per_set: Images of each domain to train on.
        n_val: Objects of `val`.
        n_test: Objects of `test`.
        n_judging: Objects of each judging set.
        world_seed: Of the objects.
        batch_size: Images of every domain per batch and process.
        num_workers: Processes that prepare batches; the images are in memory, so 0 is fastest.
        seed: Of the orders of the images.
        unwanted: What translations are to keep, read by judges of its own: [shape], or nothing.
    """

    wanted = "colour"

    def __init__(
        self,
        colours: list[str] | None = None,
        image_size: int = 32,
        images_per_set: int = 1000,
        n_val: int = 200,
        n_test: int = 500,
        n_judging: int = 2000,
        world_seed: int = 0,
        batch_size: int = 16,
        num_workers: int = 0,
        seed: int = 0,
        unwanted: list[Literal["shape"]] | None = None,
    ) -> None:
        self.colours = _known(colours)
        super().__init__({name: [name] for name in self.colours}, batch_size, num_workers, seed)
        self.modalities = {
            name: Modality("image", 3, label=number) for number, name in enumerate(self.colours)
        }
        self.unwanted: list[str] = list(unwanted or [])
        if not set(self.unwanted) <= {"shape"}:
            raise DataError(f"unwanted is {self.unwanted}; give [shape], or nothing.")
        self.attributes = {self.wanted: self.colours} | dict.fromkeys(self.unwanted, SHAPES)
        _check(image_size, world_seed, (images_per_set, n_val, n_test, n_judging))
        self.image_size, self.images_per_set = image_size, images_per_set
        self.world_seed, self.n_judging = world_seed, n_judging
        self.counts: dict[HeldOut, int] = {"val": n_val, "test": n_test}

    def load_set(self, name: str) -> MemoryScenes:
        first = (_FIRST_DOMAIN + list(COLOURS).index(name)) * _BLOCK
        return self._load(first, self.images_per_set, [name])

    def load_held_out(self, name: HeldOut) -> MemoryScenes:
        return self._load(_FIRST[name], self.counts[name], self.colours, held_out=True)

    def wanted_value(self, domain: str) -> int:
        """Return the position of a colour among the domains."""
        return self.colours.index(domain)

    def judging_set(self, attribute: str, number: int) -> tuple[Tensor, Tensor]:
        """Return objects that no domain, no split and no other judge has, and what they are.

        Args:
            attribute: `colour`, or one of `unwanted`.
            number: Of the judge, from 0.

        Returns:
            Images (N, 3, H, W) in [-1, 1], and values of the attribute, int64 (N,): of `colour`,
            positions among the domains.
        """
        if attribute not in self.attributes:
            raise DataError(
                f"{attribute!r} is not judged; judged are {', '.join(self.attributes)}."
            )
        position = torch.arange(self.n_judging)
        first = _FIRST_JUDGE if attribute == self.wanted else _FIRST_SHAPE_JUDGE
        index = (first + number) * _BLOCK + position
        label = position // len(SHAPES) % len(self.colours)
        factors = sample_factors(self.world_seed, index)
        pixels = paint(self.world_seed, index, factors, self.image_size)
        images = to_unit_range(pixels.fill(tone(_numbers(self.colours)[label], factors)))
        return images, label if attribute == self.wanted else factors["shape"]

    def verdicts(self, images: Tensor, fields: Batch) -> Batch:  # noqa: ARG002 - no rule reads it
        """Return nothing: no rule reads colours under gloss and shadow well enough to judge."""
        return {}

    def calibrate(self, copies: Tensor, fields: Batch) -> Batch:  # noqa: ARG002 - as above
        """Return nothing: there is no rule."""
        return {}

    def true_styles(self, fields: Batch, domain: str, n: int) -> Tensor:
        """Return held-out objects in the colour `domain`, in `n` other shades and saturations.

        Args:
            fields: Of the objects, of which `number` is read.
            domain: A colour.
            n: How many.

        Returns:
            (N, n, 3, H, W) in [-1, 1]; the first k of n are the same for every n.
        """
        index = fields["number"]
        factors = sample_factors(self.world_seed, index)
        painting = paint(self.world_seed, index, factors, self.image_size)
        colour = _numbers([domain] * len(index))
        tones = sample_tones(self.world_seed, index, n)
        return to_unit_range(torch.stack([painting.fill(tone(colour, t)) for t in tones], dim=1))

    def describe(self) -> dict[str, object]:
        return {
            **super().describe(),
            "image_size": self.image_size,
            "world_seed": self.world_seed,
        }

    def _load(
        self, first: int, count: int, names: list[str], held_out: bool = False
    ) -> MemoryScenes:
        index = torch.arange(first, first + count)
        factors = sample_factors(self.world_seed, index)
        painting = paint(self.world_seed, index, factors, self.image_size)
        stored = {name: painting.fill(tone(_numbers([name] * count), factors)) for name in names}
        modalities = {name: self.modalities[name] for name in names}
        ids = [f"object-{i:06d}" for i in index.tolist()]
        fields = factors
        if held_out:
            colours = {f"{k}/{self.wanted}": _positions(self.colours, k, count) for k in names}
            fields = {**factors, "number": index, "mask": painting.mask, **colours}
        return MemoryScenes(modalities, stored, ids, fields)


class ObjectColours(ImageDataModule):
    """Objects with the number of their colour as `label`, to train a classifier that judges.

    No object of any split is in one of `Objects`; the fields are those of `sample_factors` besides
    `label`. Shapes and colours are balanced and independent.

    Args:
        colours: Names and order of the classes; None: all of `COLOURS`. Give those of `Objects`, so
            that the labels count alike.
        image_size: Side in pixels, 16 to 128.
        train_images: Images to train on.
        held_out_images: Images in val, and as many in test.
        world_seed: Of the objects.
        batch_size: Images per batch and process.
        num_workers: Processes that prepare batches; the images are in memory, so 0 is fastest.
        seed: Of the order of the training images and of their augmentation.
        augment: Transforms of the training images; see `datamodules.transforms.build_augment`.
    """

    resize_rule = "rendered at image_size, 8 bits"
    split_rule = "rendered from (world_seed, i) with other i for each split and data module"

    def __init__(
        self,
        colours: list[str] | None = None,
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
        self.colours, self.world_seed = _known(colours), world_seed
        self.counts = {"train": train_images, "val": held_out_images, "test": held_out_images}

    @property
    def class_names(self) -> list[str]:
        return self.colours

    def load_split(self, name: SplitName) -> MemoryImages:
        position = torch.arange(self.counts[name])
        index = position + _JUDGE[name]
        # One object of each shape in one colour, then in the next: all pairs are equally frequent.
        label = position // len(SHAPES) % len(self.colours)
        factors = sample_factors(self.world_seed, index)
        painting = paint(self.world_seed, index, factors, self.image_size)
        pixels = painting.fill(tone(_numbers(self.colours)[label], factors))
        return MemoryImages(pixels, {"label": label, **factors})


def _numbers(names: Sequence[str]) -> Tensor:
    return torch.tensor([list(COLOURS).index(name) for name in names])


def _positions(names: Sequence[str], name: str, count: int) -> Tensor:
    return torch.full((count,), list(names).index(name))


def _known(colours: list[str] | None) -> list[str]:
    chosen = list(COLOURS) if colours is None else list(colours)
    for name in chosen:
        if name not in COLOURS:
            raise DataError(f"There is no colour {name!r}; the colours are {', '.join(COLOURS)}.")
    if len(chosen) < 2 or len(set(chosen)) < len(chosen):
        raise DataError(f"colours is {chosen}; name at least two colours, each once.")
    return chosen


def _check(image_size: int, world_seed: int, counts: tuple[int, ...]) -> None:
    if not _SIZES[0] <= image_size <= _SIZES[1]:
        raise DataError(f"image_size is {image_size}; give {_SIZES[0]} to {_SIZES[1]} pixels.")
    if world_seed < 0:
        raise DataError(f"world_seed is {world_seed}; give 0 or more.")
    for count in counts:
        if not 1 <= count <= _BLOCK:
            raise DataError(f"{count} images were asked for; give 1 to {_BLOCK}.")
