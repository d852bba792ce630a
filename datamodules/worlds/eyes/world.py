"""A world of infrared eyes: masks of four classes, persons, gaze and two cameras."""

import torch
from torch import Tensor

from datamodules.augment.images import TransformSpec
from datamodules.augment.scenes import build_joint_augment
from datamodules.base.person_data import Part, PersonData
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
_PEOPLE = 10**6  # numbers that each part has for itself
_FIRST: dict[str, int] = {"train": 0, "val": _PEOPLE, "test": 2 * _PEOPLE, "complete": 3 * _PEOPLE}


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
    measures = dict(zip(PERSON, dice.several(len(PERSON), 0, 1).unbind(1), strict=True))
    # Of n consecutive people from a multiple of _PEOPLE, n times the share wear glasses.
    place = (person % _PEOPLE).double()
    worn = ((place + 1) * glasses + 1e-9).floor() - (place * glasses + 1e-9).floor()
    return {**measures, "glasses": worn.long()}


def _view(dice: Dice) -> Batch:
    """Roll what makes a picture."""
    x, y = dice.several(2, -1, 1).unbind(1)
    pupil, opening = dice.several(2, 0, 1).unbind(1)
    return dict(zip(VIEW, (x, y, pupil, opening, dice.below(2)), strict=True))


class Eyes(PersonData):
    """Infrared close-ups of eyes with exact masks of sclera, iris and pupil.

    The task is that of Seg2Eye (Buehler et al. 2019): draw the eye of a person with a given mask.
    Picture j of person i is a pure function of `world_seed`, i and j. A person's first
    `images_per_person` pictures are pairs, and the next `pool_per_person` are its pool, of which
    nothing but the image is shown. Glasses are rare, as in the paper's training set.

    Fields: see `render_eyes`; `person` is the number of the person.

    Args:
        size: Height and width in pixels, 32 to 640 and 32 to 400, the height being 1 to 1.6 times
            the width.
        persons: Number of persons of `train`.
        val_persons: Number of persons of `val`.
        test_persons: Number of persons of `test`.
        images_per_person: Number of pairs of a person.
        pool_per_person: Number of images in a person's pool.
        glasses: Share of the persons who wear glasses.
        held_out_glasses: The same of `val` and `test`; None: `glasses`.
        world_seed: Names the world.
        references: See `PersonData`.
        batch_size: Pairs per batch and process.
        augment: Joint transforms of a training pair, which its references take too.
        num_workers: Processes that prepare batches; the pictures are in memory, so 0 is fastest.
        seed: Seeds the orders of the pairs, their references and their augmentation.
    """

    def __init__(
        self,
        size: tuple[int, int] = (80, 64),
        persons: int = 72,
        val_persons: int = 20,
        test_persons: int = 40,
        images_per_person: int = 32,
        pool_per_person: int = 32,
        glasses: float = RARE,
        held_out_glasses: float | None = None,
        world_seed: int = 0,
        references: int = 0,
        batch_size: int = 16,
        augment: list[TransformSpec] | None = None,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__(references, batch_size, num_workers, seed)
        self.modalities = dict(MODALITIES)
        self.size, self.world_seed = (size[0], size[1]), world_seed
        self.persons = {"train": persons, "val": val_persons, "test": test_persons}
        self.images_per_person, self.pool_per_person = images_per_person, pool_per_person
        held_out = glasses if held_out_glasses is None else held_out_glasses
        self.glasses = {"train": glasses, "val": held_out, "test": held_out}
        self._check_arguments()
        if augment:
            self.augment = build_joint_augment(augment, self.modalities)

    def load_pairs(self, part: Part) -> MemoryScenes:
        return self._load(part, self.persons[part], 0, self.images_per_person, [*MODALITIES])

    def load_pool(self, part: Part) -> MemoryScenes:
        first = self.images_per_person
        return self._load(part, self.persons[part], first, self.pool_per_person, ["image"])

    def complete_set(self, names: list[str]) -> MemoryScenes:
        """Return as many pairs as `train` has, of people whom no split has, in modalities `names`.

        They are for networks that judge a method, never for the method.
        """
        if unknown := [name for name in names if name not in MODALITIES]:
            raise DataError(f"There is no modality {unknown[0]!r} among {', '.join(MODALITIES)}.")
        return self._load("complete", self.persons["train"], 0, self.images_per_person, names)

    def person_name(self, number: int) -> str:
        return f"person-{number:07d}"

    def describe(self) -> dict[str, object]:
        return {
            **super().describe(),
            "size": list(self.size),
            "persons": self.persons,
            "glasses": self.glasses,
            "world_seed": self.world_seed,
        }

    def _check_arguments(self) -> None:
        height, width = self.size
        inside = all(a <= n <= b for n, (a, b) in zip(self.size, _SIDES, strict=True))
        if not inside or not width <= height <= 1.6 * width:
            raise DataError(
                f"size is {list(self.size)}; give a height of 32 to 640 and a width of 32 to 400 "
                "pixels, the height 1 to 1.6 times the width."
            )
        for name, count, most in (
            *((f"persons of {part}", count, _PEOPLE) for part, count in self.persons.items()),
            ("images_per_person", self.images_per_person, _IMAGES // 2),
            ("pool_per_person", self.pool_per_person, _IMAGES // 2),
        ):
            if not 1 <= count <= most:
                raise DataError(f"{name} is {count}; give 1 to {most}.")
        for share in self.glasses.values():
            if not 0 <= share <= 1:
                raise DataError(f"The share of glasses is {share}; give 0 to 1.")
        if self.world_seed < 0:
            raise DataError(f"world_seed is {self.world_seed}; give 0 or more.")

    def _load(
        self, part: str, persons: int, first: int, count: int, names: list[str]
    ) -> MemoryScenes:
        """Render pictures `first` to `first + count` of each person of a part."""
        person = (_FIRST[part] + torch.arange(persons)).repeat_interleave(count)
        number = (first + torch.arange(count)).repeat(persons)
        glasses = self.glasses.get(part, self.glasses["test"])
        drawn = render_eyes(self.world_seed, person, number, self.size, glasses)
        stored = {name: drawn.pop(name) for name in MODALITIES}
        ids = [
            f"eye-{i:07d}-{j:06d}" for i, j in zip(person.tolist(), number.tolist(), strict=True)
        ]
        modalities = {name: MODALITIES[name] for name in names}
        fields = {**drawn, "person": person}
        return MemoryScenes(modalities, {name: stored[name] for name in names}, ids, fields)
