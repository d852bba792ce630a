"""A world of infrared eyes: masks of four classes, persons, gaze and two cameras."""

import torch
from torch import Tensor

from datamodules.augment.images import TransformSpec
from datamodules.augment.scenes import build_joint_augment
from datamodules.base.translation_data import HeldOut, TranslationData
from datamodules.errors import DataError
from datamodules.items.modalities import Modality
from datamodules.items.scenes import MemoryScenes
from datamodules.items.splits import Batch
from datamodules.worlds.canvas.dice import Dice
from datamodules.worlds.eyes.drawing import CLASSES, draw_eyes

# What makes a person, each measure in [0, 1].
PERSON = (
    "skin", "iris", "sclera", "spokes", "lashes", "lid", "slant", "crease", "shading", "brow",
    "turn", "twist", "frame", "rim",
)  # fmt: skip
VIEW = ("gaze_x", "gaze_y", "pupil", "opening", "mode")  # what makes a picture of a person
PALETTE = ((60, 60, 60), (70, 130, 200), (90, 180, 90), (220, 60, 60))
MODALITIES = {
    "mask": Modality("labels", len(CLASSES), CLASSES, PALETTE),
    "image": Modality("image", 1),
}
RARE = 3 / 29  # the share of people with glasses in the training set of Seg2Eye

_SIDES = ((32, 640), (32, 400))  # heights, widths
_PIXELS = 2**17  # at a time, so that intermediate results stay in a core's cache
_IMAGES = 2**20  # that a person has
_PEOPLE = 10**6  # that each part has for itself
PARTS = ("train", "val", "test", "complete")


def render_eyes(
    world_seed: int, person: Tensor, number: Tensor, size: tuple[int, int], glasses: float = RARE
) -> Batch:
    """Return pictures of people, each a pure function of the seed, the person and its number.

    Args:
        world_seed: Names the world.
        person: Whose eye, int64 (N,).
        number: Which picture of that person, int64 (N,), below 2**20.
        size: Height and width in pixels.
        glasses: Share of people who wear glasses, evenly spread over consecutive numbers.

    Returns:
        `image` uint8 (N, 1, H, W); `mask` uint8 (N, H, W), classes of `CLASSES`; the measures of
        the person, in [0, 1]; `glasses` 0 or 1; `gaze_x` and `gaze_y` in [-1, 1], `pupil` and
        `opening` in [0, 1], and `mode` 0 or 1, all (N,).
    """
    step = max(1, _PIXELS // (size[0] * size[1]))
    chunks = []
    for some in torch.split(torch.arange(len(person)), step):
        who, which = person[some], number[some]
        traits = person_of(world_seed, who, glasses)
        dice = Dice(2 * world_seed + 1, who * _IMAGES + which)
        view = _view(dice)
        chunks.append({**draw_eyes(traits, view, dice, size), **traits, **view})
    return {name: torch.cat([chunk[name] for chunk in chunks]) for name in chunks[0]}


def person_of(world_seed: int, person: Tensor, glasses: float = RARE) -> Batch:
    """Return what makes people (N,): the measures `PERSON`, and `glasses` 0 or 1."""
    dice = Dice(2 * world_seed, person)
    measures = {name: dice.between(0, 1) for name in PERSON}
    # Of n consecutive people from a multiple of _PEOPLE, n times the share wear glasses.
    place = (person % _PEOPLE).double()
    worn = ((place + 1) * glasses + 1e-9).floor() - (place * glasses + 1e-9).floor()
    return {**measures, "glasses": worn.long()}


def _view(dice: Dice) -> Batch:
    """Roll what makes a picture."""
    gaze = {name: dice.between(-1, 1) for name in ("gaze_x", "gaze_y")}
    return {**gaze, **{n: dice.between(0, 1) for n in ("pupil", "opening")}, "mode": dice.below(2)}
