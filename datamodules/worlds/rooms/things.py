"""Things in rooms: classes, materials, and pairs of classes that only depth tells apart."""

from typing import NamedTuple

import torch
from torch import Tensor

from datamodules.worlds.canvas.dice import Dice
from datamodules.worlds.rooms.raycast import Boxes

CLASSES = (
    "bed", "books", "ceiling", "chair", "floor", "furniture", "objects", "picture", "sofa",
    "table", "tv", "wall", "window",
)  # fmt: skip
BED, BOOKS, CEILING, CHAIR, FLOOR, FURNITURE, OBJECTS, PICTURE, SOFA, TABLE, TV, WALL, WINDOW = (
    range(len(CLASSES))
)
MATERIALS = ("fabric", "glass", "leather", "metal", "paper", "plaster", "plastic", "wood")
FABRIC, GLASS, LEATHER, METAL, PAPER, PLASTER, PLASTIC, WOOD = range(len(MATERIALS))
AHEAD, TO_RIGHT, TO_LEFT = range(3)  # where a thing's front looks: to the camera, to a wall

_MADE_OF: dict[int, tuple[int, int]] = {  # each as often as the other
    BED: (FABRIC, FABRIC), BOOKS: (PAPER, PAPER), CEILING: (PLASTER, PLASTER),
    CHAIR: (WOOD, LEATHER), FLOOR: (WOOD, FABRIC), FURNITURE: (WOOD, PLASTIC),
    OBJECTS: (PLASTIC, METAL), PICTURE: (PAPER, PAPER), SOFA: (FABRIC, LEATHER),
    TABLE: (WOOD, METAL), TV: (PLASTIC, GLASS), WALL: (PLASTER, PAPER), WINDOW: (GLASS, GLASS),
}  # fmt: skip
_MATERIAL = torch.tensor([_MADE_OF[each] for each in range(len(CLASSES))])
_STICKS_OUT = 0.02  # metres by which a notch passes an open face
_HUE_SPREAD = 0.035
_LINES = 0.25  # contrast of the lines between panels


class Notch(NamedTuple):
    """What a thing lacks of its outline: a box that is open to the front.

    Attributes:
        arm: What is left on either side, in metres.
        bottom: Where the notch begins, in heights of the thing.
        top: What is left above it, in metres; None: it is open to the top too.
        back: What is left behind it, in metres; negative: it goes on behind the thing.
    """

    arm: float
    bottom: float
    top: float | None
    back: float


class Pair(NamedTuple):
    """Two classes of equal outlines that differ in what the outlines enclose.

    Colour pictures show the outlines, painted in one of two colour modes.

    Attributes:
        classes: The two.
        reliability: Probability that a thing has the colour mode of its class.
        hues: Middle of each class's colour mode, in turns.
        notches: What each class's things lack.
        panels: How many are painted across, up and in depth.
    """

    classes: tuple[int, int]
    reliability: float
    hues: tuple[float, float]
    notches: tuple[Notch | None, Notch | None]
    panels: tuple[int, int, int]


CASE = Pair((BOOKS, FURNITURE), 0.5, (0.04, 0.47), (Notch(0.08, 0.06, 0.08, 0.05), None), (2, 5, 1))
PANE = Pair(
    (PICTURE, WINDOW), 0.65, (0.33, 0.60), (None, Notch(0.06, 0.06, 0.06, -0.45)), (2, 2, 1)
)
STAND = Pair(
    (CHAIR, TABLE), 0.8, (0.11, 0.75),
    (Notch(0.10, 0.47, None, 0.12), Notch(0.07, 0.0, 0.14, 0.05)), (2, 2, 2),
)  # fmt: skip
SEAT = Pair(
    (BED, SOFA), 0.95, (0.97, 0.56),
    (Notch(0.08, 0.85, None, 0.08), Notch(0.20, 0.45, None, 0.25)), (3, 2, 1),
)  # fmt: skip
PAIRS = (CASE, PANE, STAND, SEAT)


class Things(NamedTuple):
    """K things in each of N rooms, the last of them the room's walls, floor and ceiling.

    Attributes:
        centre: Middle of the outline (N, K, 3); of the last three, of the room.
        half: Half its sides (N, K, 3), negative where there is no such thing.
        notch_centre: Middle of what is cut out (N, K, 3).
        notch_half: Half its sides (N, K, 3), negative where nothing is.
        label: Class (N, K).
        material: (N, K).
        mode: Colour mode within a pair, 0 or 1; -1 without a pair (N, K).
        colour: Reflectance for red, green and blue in [0, 1] (N, K, 3).
        panels: How many are painted along x, y and z (N, K, 3).
        contrast: Of stripes, of bands and of checks of the panels, and of the lines between them
            (N, K, 4).
    """

    centre: Tensor
    half: Tensor
    notch_centre: Tensor
    notch_half: Tensor
    label: Tensor
    material: Tensor
    mode: Tensor
    colour: Tensor
    panels: Tensor
    contrast: Tensor

    @property
    def outlines(self) -> Boxes:
        """What rays meet: walls, floor and ceiling are one box."""
        return Boxes(self.centre[:, :-2], self.half[:, :-2])

    @property
    def notches(self) -> Boxes:
        """What is cut out of the `outlines`."""
        return Boxes(self.notch_centre[:, :-2], self.notch_half[:, :-2])


def stack(things: list[Things]) -> Things:
    """Join K times one thing per room, whose tensors lack the dimension of K."""
    return Things(*(torch.stack(parts, 1) for parts in zip(*things, strict=True)))


def paired_thing(
    dice: Dice,
    pair: Pair,
    place: Tensor,
    size: Tensor,
    facing: Tensor,
    present: Tensor | None = None,
) -> Things:
    """Return a thing of either class of a pair, for each room.

    Args:
        dice: Decides class, colour mode, colour and material.
        pair: The two classes.
        place: Middle of the outline (N, 3), in metres.
        size: Of the outline, across its front, up and in depth (N, 3).
        facing: `AHEAD`, `TO_RIGHT` or `TO_LEFT` (N,).
        present: Is it there at all (N,)? None: always.
    """
    second = dice.below(2)
    agrees = dice.between(0, 1) < pair.reliability
    mode = torch.where(agrees, second, 1 - second)
    hue = torch.tensor(pair.hues)[mode] + dice.between(-_HUE_SPREAD, _HUE_SPREAD)
    colour = rgb_of(hue, dice.between(0.4, 0.7), dice.between(0.4, 0.8))
    label, half = torch.tensor(pair.classes)[second], size / 2
    notch_middle, notch_half = _notch_within(pair, second, half)
    cut = notch_half.amin(1, keepdim=True) > 0
    panels = torch.tensor(pair.panels).expand(len(place), 3)
    return _thing(dice, label, place, _turned(half, facing), colour, present)._replace(
        notch_centre=place + _turn(notch_middle, facing),
        notch_half=torch.where(cut, _turned(notch_half, facing), -1.0),
        mode=mode,
        panels=_turned(panels, facing),
    )


def plain_thing(
    dice: Dice,
    label: int,
    place: Tensor,
    size: Tensor,
    colour: Tensor,
    present: Tensor | None = None,
) -> Things:
    """Return a thing of one class, for each room.

    Args:
        dice: Decides the material and the texture.
        label: Class.
        place: Middle (N, 3), in metres.
        size: Along x, y and z (N, 3).
        colour: Reflectance (N, 3).
        present: Is it there at all (N,)? None: always.
    """
    return _thing(dice, torch.full((len(place),), label), place, size / 2, colour, present)


def rgb_of(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Return RGB in [0, 1] (N, 3) of hues in turns, saturations and values (N,)."""
    channels = []
    for sector in (5, 3, 1):
        k = (sector + 6 * hue) % 6
        channels.append(value - value * saturation * torch.minimum(k, 4 - k).clamp(0, 1))
    return torch.stack(channels, 1)


def _thing(
    dice: Dice, label: Tensor, place: Tensor, half: Tensor, colour: Tensor, present: Tensor | None
) -> Things:
    absent = torch.full_like(half, -1.0)
    half = half if present is None else torch.where(present[:, None], half, absent)
    one = torch.ones_like(label)
    lines = torch.full((len(label), 1), _LINES)
    return Things(
        centre=place,
        half=half,
        notch_centre=place,
        notch_half=absent,
        label=label,
        material=_MATERIAL[label, dice.below(2)],
        mode=-one,
        colour=colour,
        panels=torch.stack([one, one, one], 1),
        contrast=torch.cat([dice.several(3, 0.0, 0.1), lines], 1),
    )


def _notch_within(pair: Pair, second: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
    """Return middle and half sizes (N, 3) of the notches: across, up and backwards."""
    first, other = (_ends(notch, half) for notch in pair.notches)
    low, high = torch.where(second[:, None, None] == 0, first, other).unbind(1)
    return (low + high) / 2, (high - low) / 2


def _ends(notch: Notch | None, half: Tensor) -> Tensor:
    """Return the lower and the upper corner of a notch, seen from the thing's middle (N, 2, 3)."""
    if notch is None:
        return torch.stack([half, -half], 1)
    across, up, back = half.unbind(1)
    top = -_STICKS_OUT if notch.top is None else notch.top
    low = [notch.arm - across, (2 * notch.bottom - 1) * up, -back - _STICKS_OUT]
    high = [across - notch.arm, up - top, back - notch.back]
    return torch.stack([torch.stack(low, 1), torch.stack(high, 1)], 1)


def _turn(vector: Tensor, facing: Tensor) -> Tensor:
    """Return x, y and z (N, 3) of what is across, up and backwards (N, 3)."""
    across, up, back = vector.unbind(1)
    aside = torch.where(facing == TO_LEFT, back, -back)
    ahead = facing == AHEAD
    return torch.stack([torch.where(ahead, across, aside), up, torch.where(ahead, back, across)], 1)


def _turned(size: Tensor, facing: Tensor) -> Tensor:
    return _turn(size, facing).abs()
