"""A world of stylised faces: people, and what they wear, look like and do."""

from types import MappingProxyType

import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.labelled import LabelledWorld
from datamodules.splits import Batch
from datamodules.worlds.dice import Dice
from datamodules.worlds.portrait_drawing import HAIR, HEAD, MEASURES, draw_portraits

_NO_YES = ("no", "yes")
_SIZES = (32, 128)  # pixels
_PIXELS = 2**15  # at a time, so that intermediate results stay in a core's cache
_STYLE = 2**41  # beyond every index, so that no style of an image is another's


class Portraits(LabelledWorld):
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
            "skin": ("pale", "medium", "dark"),
        }
    )

    def __init__(
        self, image_size: int = 32, world_seed: int = 0, people: int | None = None
    ) -> None:
        super().__init__(image_size, world_seed)
        if not _SIZES[0] <= image_size <= _SIZES[1]:
            raise DataError(f"image_size is {image_size}; give {_SIZES[0]} to {_SIZES[1]} pixels.")
        if people is not None and people < 1:
            raise DataError(f"people is {people}; give 1 or more, or null for one of each image.")
        self.people = people

    def render(self, index: Tensor, given: Batch, style: int = 0) -> Batch:
        n = max(1, _PIXELS // self.image_size**2)
        parts = [
            self._render(some, {name: value[i * n :][:n] for name, value in given.items()}, style)
            for i, some in enumerate(index.split(n))
        ]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def measures(self, person: Tensor) -> Batch:
        """Return the measures, each float (N,), that make people (N,) who they are."""
        dice = Dice(4 * self.world_seed, person)
        return {name: dice.between(*limits) for name, limits in MEASURES.items()}

    def _render(self, index: Tensor, given: Batch, style: int) -> Batch:
        person = index if self.people is None else index % self.people
        value = self._values(index, given)
        canvas, marks = draw_portraits(
            value,
            self.measures(person),
            Dice(4 * self.world_seed + 2, index),
            Dice(4 * self.world_seed + 3, index + style * _STYLE),
            self.image_size,
        )
        masks = {name: mark[:, None].to(torch.uint8) for name, mark in marks.items()}
        return {
            "image": canvas.clamp_(0, 1).mul_(255).round_().to(torch.uint8),
            **value,
            "identity": person,
            "mask": masks.pop(HEAD),
            **{f"mask_{name}": mask for name, mask in masks.items()},
        }

    def _values(self, index: Tensor, given: Batch) -> Batch:
        """Return the value of each attribute (N,): as given, or rolled."""
        dice = Dice(4 * self.world_seed + 1, index)
        rolled = {name: dice.below(len(values)) for name, values in self.attributes.items()}
        return {
            name: torch.where(given[name] < 0, value, given[name]) if name in given else value
            for name, value in rolled.items()
        }
