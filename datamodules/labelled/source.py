"""Images whose attributes are known, dealt out so that no two parts share one."""

import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType

import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.items.splits import Batch, MemoryImages, Split, content_hash

IMAGES = "images"  # in a portion: how many
BLOCK = 1_000_000  # indices that each part of a world has for itself
UNKNOWN = -1  # a value that no portion asks for

Portion = Mapping[str, str | int]  # {images: 900, colour: red, texture: textured}


@dataclass(frozen=True)
class Hand:
    """What one part was dealt.

    Attributes:
        index: Which images of the source, int64 (N,); no other part has them.
        given: Attribute -> value asked for, int64 (N,), -1 where any will do.
    """

    index: Tensor
    given: Batch


class LabelledSource(ABC):
    """A supply of images with known attributes.

    Attributes:
        attributes: Name -> names of its values. In fields a value is its position, int64.
        image_size: Side in pixels.
        channels: 1 or 3.
        parts: Name -> colour of what a pixel can show, numbered so in the field `parts`; empty
            without that field.
    """

    attributes: Mapping[str, Sequence[str]]
    image_size: int
    channels: int = 3
    parts: Mapping[str, tuple[int, int, int]] = MappingProxyType({})

    @abstractmethod
    def deal(self, parts: Mapping[str, Sequence[Portion]]) -> dict[str, Hand]:
        """Deal images to parts, none to two.

        The first path component of a part's name is its group, e.g. `train` of `train/red`. Groups
        that are dealt in separate calls, for other data modules, are disjoint too.

        Args:
            parts: Name -> portions, each {images: how many, attribute: name of its value, ...}.

        Raises:
            DataError: If there are not enough images, or a portion names what is not there.
        """

    @abstractmethod
    def load(self, hand: Hand) -> Split:
        """Return the images of a hand in its order.

        Fields: each attribute, int64 (N,); `number`, the hand's index; and what else the source
        knows, such as `mask`, uint8 (N, 1, H, W), 1 on the object, and `mask_<attribute>`, 1 where
        a change of that attribute may show.
        """

    def verdicts(self, images: Tensor, fields: Batch) -> Batch:  # noqa: ARG002 - worlds may look
        """Read attributes without a classifier.

        Args:
            images: Images in [-1, 1] (N, C, H, W) made from those that `fields` belong to.
            fields: As `load` returns them, and what `calibrate` returned, if it was asked.

        Returns:
            Attribute -> value (N,), of those that can be read so; {} unless overridden.
        """
        return {}

    def calibrate(self, copies: Tensor, fields: Batch) -> Batch:  # noqa: ARG002 - worlds may look
        """Find what a method leaves on every image, so that no rule takes it for an attribute.

        Args:
            copies: Images in [-1, 1] (N, C, H, W) that a method made of those that `fields` belong
                to, and that it was to leave as they are.
            fields: As `load` returns them.

        Returns:
            Numbers for the fields of `verdicts`; {} unless overridden.
        """
        return {}

    def true_styles(
        self,
        fields: Batch,  # noqa: ARG002 - worlds know, files do not
        wanted: Mapping[str, str],  # noqa: ARG002 - as above
        n: int,  # noqa: ARG002 - as above
    ) -> Tensor | None:
        """Show the images that fields belong to with attributes changed, in `n` styles each.

        Returns:
            uint8 (N, n, C, H, W), or None where nobody can know, as always unless overridden.
        """
        return None

    def identity_set(self) -> tuple[Tensor, Tensor] | None:
        """Return photos to learn from who people are, several of each; no part is dealt them.

        Returns:
            Photos (N, C, H, W) in [-1, 1] and the people's numbers, int64 (N,); None where the
            source shows nobody, as always unless overridden.
        """
        return None


class LabelledWorld(LabelledSource):
    """A source that renders: image i is a pure function of (world_seed, i, attributes, style).

    A subclass sets `attributes` and defines `render`. A portion may name any number of images, and
    attributes that it does not name are rolled.

    Args:
        image_size: Side in pixels.
        world_seed: Names the world.
    """

    def __init__(self, image_size: int, world_seed: int) -> None:
        if world_seed < 0:
            raise DataError(f"world_seed is {world_seed}; give 0 or more.")
        self.image_size, self.world_seed = image_size, world_seed

    @abstractmethod
    def render(self, index: Tensor, given: Batch, style: int = 0) -> Batch:
        """Render images `index` (N,).

        An attribute that is changed changes nothing that it does not stand for: the same index with
        another value of one attribute shows the same scene otherwise.

        Args:
            index: Which images, int64 (N,).
            given: Attribute -> value (N,), rolled where -1 and where the attribute lacks.
            style: Rolls anew what varies within a domain without being an attribute or the scene,
                such as the exact shade of a colour.

        Returns:
            `image`, uint8 (N, C, H, W), and all fields of `load` but `number`.
        """

    def deal(self, parts: Mapping[str, Sequence[Portion]]) -> dict[str, Hand]:
        blocks: dict[int, str] = {}
        hands = {}
        for part, portions in parts.items():
            block = zlib.crc32(part.encode()) % 2**20
            if block in blocks:
                raise DataError(f"{part} and {blocks[block]} would share images; rename one.")
            blocks[block] = part
            given = given_values(self.attributes, part, portions)
            n = sum(count(part, portion) for portion in portions)
            if n > BLOCK:
                raise DataError(f"{part} asks for {n} images; at most {BLOCK} are rendered.")
            hands[part] = Hand(block * BLOCK + torch.arange(n), given)
        return hands

    def load(self, hand: Hand) -> MemoryImages:
        made = self.render(hand.index, hand.given)
        pixels = made.pop("image")
        return MemoryImages(pixels, {**made, "number": hand.index})

    def true_styles(self, fields: Batch, wanted: Mapping[str, str], n: int) -> Tensor:
        given = {name: fields[name].clone() for name in self.attributes}
        for name, value in wanted.items():
            given[name].fill_(value_number(self.attributes, name, value))
        index = fields["number"]
        made = [self.render(index, given, style)["image"] for style in range(1, n + 1)]
        return torch.stack(made, dim=1)


def balanced(
    attributes: Mapping[str, Sequence[str]], names: Sequence[str], n: int
) -> list[Portion]:
    """Return portions of about `n` images, the same number of each combination of values.

    Args:
        attributes: Of the source.
        names: Attributes whose combinations are balanced; others vary.
        n: Images in all, at least one of each combination.
    """
    for name in names:
        value_number(attributes, name, None)
    combinations = list(product(*(attributes[name] for name in names)))
    each = max(1, n // len(combinations))
    return [{IMAGES: each, **dict(zip(names, values, strict=True))} for values in combinations]


def given_values(
    attributes: Mapping[str, Sequence[str]], part: str, portions: Sequence[Portion]
) -> Batch:
    """Return attribute -> values (N,) that portions ask for, one after the other; -1 for any."""
    counts = [count(part, portion) for portion in portions]
    for portion in portions:
        for name, value in portion.items():
            if name != IMAGES:
                value_number(attributes, name, value)
    return {
        name: torch.cat(
            [
                torch.full((n,), value_number(attributes, name, portion[name]))
                if name in portion
                else torch.full((n,), UNKNOWN)
                for portion, n in zip(portions, counts, strict=True)
            ]
        )
        for name in attributes
    }


def count(part: str, portion: Portion) -> int:
    """Return how many images a portion asks for."""
    n = portion.get(IMAGES)
    if not isinstance(n, int) or n < 1:
        raise DataError(f"{part} has a portion with images: {n}; give 1 or more.")
    return n


def value_number(
    attributes: Mapping[str, Sequence[str]], name: str, value: str | int | None
) -> int:
    """Return the position of an attribute's value, 0 for None; DataError if there is none."""
    if name not in attributes:
        raise DataError(f"There is no attribute {name!r}; there are {', '.join(attributes)}.")
    names = list(attributes[name])
    if value is None:
        return 0
    if value not in names:
        raise DataError(f"{name} has no value {value!r}; its values are {', '.join(names)}.")
    return names.index(str(value))


def hash_of(images: MemoryImages) -> str:
    """Return the hash of images alone, without what is known of them."""
    return content_hash({"image": images.pixels})
