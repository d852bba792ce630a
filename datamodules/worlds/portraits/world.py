"""A world of stylised faces: people, and what they wear, look like and do."""

from types import MappingProxyType

import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.items.splits import Batch
from datamodules.labelled.source import IMAGES, LabelledWorld
from datamodules.worlds.canvas.dice import Dice, GivenDice, rolls_of
from datamodules.worlds.portraits.drawing import (
    HAIR,
    HEAD,
    MEASURES,
    PARTS,
    SKIN,
    draw_portraits,
)

_NO_YES = ("no", "yes")
_SIZES = (32, 128)  # pixels
_PIXELS = 2**17  # at a time: few enough for a cache, many enough for small steps to pay
_PEOPLE, _PHOTOS = 40, 100  # from which identity is learned: how many, and of each
# How many rolls make a photo besides those of attributes and measures: of its style, and the rest.
_STYLE_ROLLS, _PHOTO_ROLLS = 13, 27
_STYLE = 2**41  # beyond every index, so that no style of an image is another's

# Where verdicts draw their lines; set on images of world_seed 0, measured on others.
_FRINGE, _GLASSES, _HAT, _MAKE_UP, _SMILE = 0.35, 0.92, 0.68, 0.105, 1.41
_PALE, _DARK = 0.71, 0.34
_MIDDLE = 0.8 * torch.tensor(list(HAIR.values())).mean(1)  # shades of hair, as lit on average
_COLD, _BLACK, _RED, _BLOND = 0.8, 0.2, 0.45, 0.68


class Portraits(LabelledWorld):
    """Faces with attributes as photographs of people have them, and with an identity.

    Attributes are rolled independently, each value equally often. Photo i shows person i, or
    i mod `people`. A person is measures of a face, see `MEASURES`, and whoever has the same
    measures may have any hair, skin, age and gender: identity can be read from the face alone.

    Fields besides the attributes: `identity`, the person's number, int64 (N,); `mask`, where the
    head is; `mask_<attribute>`, outside which no change of that attribute changes a pixel.

    Args:
        image_size: Side in pixels, 32 to 128.
        world_seed: Names the world.
        people: How many there are; None: every photo is of somebody else.
        rolls: Have as a field `rolls` too: all that a photo is made from, see `sample_rolls`.
        parts: Have as a field `parts` too: what each pixel shows, uint8 (N, H, W), numbered as in
            `PARTS`.
    """

    attributes = MappingProxyType(
        {
            "fringe": _NO_YES,
            "glasses": _NO_YES,
            "hat": _NO_YES,
            "make_up": _NO_YES,
            "smile": _NO_YES,
            "age": ("young", "old"),
            "gender": ("female", "male"),
            "hair": tuple(HAIR),
            "skin": tuple(SKIN),
        }
    )

    def __init__(
        self,
        image_size: int = 32,
        world_seed: int = 0,
        people: int | None = None,
        rolls: bool = False,
        parts: bool = False,
    ) -> None:
        super().__init__(image_size, world_seed)
        if not _SIZES[0] <= image_size <= _SIZES[1]:
            raise DataError(f"image_size is {image_size}; give {_SIZES[0]} to {_SIZES[1]} pixels.")
        if people is not None and people < 1:
            raise DataError(f"people is {people}; give 1 or more, or null for one of each image.")
        if rolls and people is not None:
            raise DataError(
                f"rolls is true, but {people} people are no uniform rolls of a face; drop people."
            )
        self.people, self.rolls = people, rolls
        self.parts = PARTS if parts else {}

    def render(self, index: Tensor, given: Batch, style: int = 0) -> Batch:
        n = max(1, _PIXELS // self.image_size**2)
        parts = [
            self._render(some, {name: value[i * n :][:n] for name, value in given.items()}, style)
            for i, some in enumerate(torch.split(index, n))
        ]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def measures(self, person: Tensor) -> Batch:
        """Return the measures, each float (N,), that make people (N,) who they are."""
        return _measures(Dice(4 * self.world_seed, person))

    def sample_rolls(self, index: Tensor, given: Batch, style: int = 0) -> Tensor:
        """Return all that photos are made from, as `render` renders them: float64 (N, R) in (0, 1).

        Over images whose values are all equally frequent they are uniform and independent. First
        come those of the attributes, in their order, then those of `MEASURES`, of the style, and of
        the rest of the photo.
        """
        seed, value = 4 * self.world_seed, self._values(index, given)
        own = Dice(seed + 1, index).first(len(self.attributes)).unbind(1)
        asked = [
            rolls_of(value[name], len(values), roll)
            for (name, values), roll in zip(self.attributes.items(), own, strict=True)
        ]
        return torch.cat(
            [
                torch.stack(asked, dim=1),
                Dice(seed, index).first(len(MEASURES)),
                Dice(seed + 3, index + style * _STYLE).first(_STYLE_ROLLS),
                Dice(seed + 2, index).first(_PHOTO_ROLLS),
            ],
            dim=1,
        )

    def render_rolls(self, rolls: Tensor) -> Tensor:
        """Return the photos uint8 (N, 3, H, W) that rolls, as of `sample_rolls`, stand for."""
        parts = [len(self.attributes), len(MEASURES), _STYLE_ROLLS, _PHOTO_ROLLS]
        n = max(1, _PIXELS // self.image_size**2)
        images = []
        for some in torch.split(rolls, n):
            values, person, style, photo = (
                GivenDice(each) for each in torch.split(some, parts, dim=1)
            )
            drawn, *_ = draw_portraits(
                self._rolled(values), _measures(person), photo, style, self.image_size
            )
            images.append(_in_bytes(drawn))
        return torch.cat(images)

    def verdicts(self, images: Tensor, fields: Batch) -> Batch:
        """Read all attributes but age and gender where their masks are, by colour.

        Skin is the mean where no other attribute shows, and what the others are compared with.
        """
        look = _Look(images, fields)
        skin = look.mean(
            look.at("skin", *(name for name in self.attributes if name not in ("skin", "hair")))
        )
        hair = _name_hair(look.mean(look.at("hair", "hat", "skin", "gender", "fringe")))
        return {
            "fringe": (look.fringe(skin, _MIDDLE[hair]) > _FRINGE).long(),
            "glasses": (look.rims(skin) < _GLASSES).long(),
            "hat": (look.cloth() > _HAT).long(),
            "make_up": (look.rouge(skin) > _MAKE_UP).long(),
            "smile": (look.teeth(skin) > _SMILE).long(),
            "hair": hair,
            "skin": _name_skin(skin),
        }

    def identity_set(self) -> tuple[Tensor, Tensor]:
        """Return photos of forty people, a hundred of each, with any attributes."""
        studio = Portraits(self.image_size, self.world_seed, people=_PEOPLE)
        photos = {IMAGES: _PEOPLE * _PHOTOS}
        images = studio.load(studio.deal({"identity/photos": [photos]})["identity/photos"])
        return images.images(torch.arange(len(images))), images.fields["identity"]

    def _render(self, index: Tensor, given: Batch, style: int) -> Batch:
        person = index if self.people is None else index % self.people
        value = self._values(index, given)
        canvas, marks, parts = draw_portraits(
            value,
            self.measures(person),
            Dice(4 * self.world_seed + 2, index),
            Dice(4 * self.world_seed + 3, index + style * _STYLE),
            self.image_size,
            bool(self.parts),
        )
        masks = {name: mark[:, None].to(torch.uint8) for name, mark in marks.items()}
        return {
            "image": _in_bytes(canvas),
            **value,
            "identity": person,
            **({"rolls": self.sample_rolls(index, value, style)} if self.rolls else {}),
            **({} if parts is None else {"parts": parts}),
            "mask": masks.pop(HEAD),
            **{f"mask_{name}": mask for name, mask in masks.items()},
        }

    def _values(self, index: Tensor, given: Batch) -> Batch:
        """Return the value of each attribute (N,): as given, or rolled."""
        return {
            name: torch.where(given[name] < 0, value, given[name]) if name in given else value
            for name, value in self._rolled(Dice(4 * self.world_seed + 1, index)).items()
        }

    def _rolled(self, dice: Dice) -> Batch:
        return {name: dice.below(len(values)) for name, values in self.attributes.items()}


def _measures(dice: Dice) -> Batch:
    return {name: dice.between(*limits) for name, limits in MEASURES.items()}


def _in_bytes(canvas: Tensor) -> Tensor:
    return canvas.clamp_(0, 1).mul_(255).round_().to(torch.uint8)


class _Look:
    """Measures of images (N, 3, H, W) in [-1, 1] at the masks of those that they are made from."""

    def __init__(self, images: Tensor, fields: Batch) -> None:
        self.x = (images.float() + 1) / 2
        self.fields = fields

    def at(self, name: str, *without: str) -> Tensor:
        """Return the mask of an attribute (N, 1, H, W), less those of others."""
        mask = self.fields[f"mask_{name}"].float()
        for other in without:
            mask = mask * (1 - self.fields[f"mask_{other}"].float())
        return mask

    def mean(self, mask: Tensor) -> Tensor:
        """Return the mean colour (N, 3) in a mask."""
        return (self.x * mask).sum((2, 3)) / mask.sum((2, 3)).clamp(min=1)

    def fringe(self, skin: Tensor, hair: Tensor) -> Tensor:
        """Return where the fringe's place is between skin, 0, and hair, 1 (N,)."""
        way = hair - skin
        place = ((self.mean(self.at("fringe", "hat")) - skin) * way).sum(1)
        return place / way.square().sum(1).clamp(min=1e-4)

    def rims(self, skin: Tensor) -> Tensor:
        """Return how bright the lower part of the glasses' place is, by skin (N,)."""
        mask = self.at("glasses")
        row = mask.amax((1, 3)).cumsum(1)
        lower = (row > 0.7 * row[:, -1:])[:, None, :, None]
        place = self.at("glasses", "make_up", "age", "hair") * lower
        return self.mean(place).mean(1) / skin.mean(1).clamp(min=1e-2)

    def cloth(self) -> Tensor:
        """Return the share of the hat's place that is of no colour of skin or hair (N,)."""
        r, g, b = self.x.unbind(1)
        greatest = self.x.amax(1)
        vivid = greatest - self.x.amin(1) > 0.3 * greatest.clamp(min=0.05)
        warm = (r >= g - 0.005) & (g >= b - 0.005)
        mask = self.at("hat")[:, 0]
        return ((vivid & ~warm) * mask).sum((1, 2)) / mask.sum((1, 2)).clamp(min=1)

    def rouge(self, skin: Tensor) -> Tensor:
        """Return the logarithm of red by green in the make-up's place, relative to skin (N,)."""
        r, g, _ = (self.x / skin.clamp(min=0.02)[:, :, None, None] + 0.1).unbind(1)
        mask = self.at("make_up", "smile", "glasses", "age", "hair")[:, 0]
        ratio = (r.clamp(min=1e-3) / g.clamp(min=1e-3)).log()
        return (ratio * mask).sum((1, 2)) / mask.sum((1, 2)).clamp(min=1)

    def teeth(self, skin: Tensor) -> Tensor:
        """Return the whitest pixel of the smile's place by the blue of skin (N,)."""
        white = self.x.amin(1, keepdim=True) * self.at("smile")
        return white.amax((1, 2, 3)) / skin[:, 2].clamp(min=1e-2)


def _name_hair(mean: Tensor) -> Tensor:
    r, g, b = mean.clamp(min=1e-2).unbind(1)
    warm = torch.bucketize(g / r, torch.tensor([_RED, _BLOND]))
    named = torch.tensor([list(HAIR).index(name) for name in ("red", "brown", "blond")])[warm]
    cold = torch.where(mean.mean(1) < _BLACK, list(HAIR).index("black"), list(HAIR).index("grey"))
    return torch.where(b / r > _COLD, cold, named)


def _name_skin(mean: Tensor) -> Tensor:
    r, _, b = mean.clamp(min=1e-2).unbind(1)
    pale, dark = (list(SKIN).index(name) for name in ("pale", "dark"))
    tanned = torch.where(mean.mean(1) < _DARK, dark, list(SKIN).index("medium"))
    return torch.where(b / r > _PALE, pale, tanned)
