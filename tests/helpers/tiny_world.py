"""A world of squares: two colours, two textures, a mask, and a shade as its only style."""

from types import MappingProxyType

import torch

from datamodules.labelled.source import LabelledWorld
from datamodules.worlds.canvas.dice import Dice

SQUARE = 8  # pixels of its side
COLOURS = torch.tensor([[30, 30, 30], [220, 30, 30]])  # of the lightest shade


class TinyWorld(LabelledWorld):
    """A square of one colour on grey; textured squares have every second row darker."""

    attributes = MappingProxyType({"colour": ("black", "red"), "texture": ("flat", "textured")})

    def __init__(self, image_size: int = 16, world_seed: int = 0) -> None:
        super().__init__(image_size, world_seed)

    def render(self, index, given, style=0):
        dice = Dice(self.world_seed, index)
        value = {}
        for name in self.attributes:
            rolled = dice.below(2)
            asked = given.get(name, torch.full_like(index, -1))
            value[name] = torch.where(asked < 0, rolled, asked)
        mask = self._mask(dice)
        image = dice.between(120, 240)[:, None, None, None].expand(-1, 3, *mask.shape[2:])
        shade = Dice(self.world_seed + 1000 * (style + 1), index).between(0.6, 1)
        rows = 1 - 0.6 * (torch.arange(self.image_size) % 2)
        rows = torch.where(value["texture"][:, None] == 1, rows, torch.ones(self.image_size))
        object_ = (COLOURS[value["colour"]] * shade[:, None])[:, :, None, None]
        image = torch.where(mask == 1, object_ * rows[:, None, :, None], image)
        return {"image": image.to(torch.uint8), **value, "shade": shade, "mask": mask}

    def verdicts(self, images, fields):
        mask = fields["mask"]
        red = (images[:, :1] - images[:, 1:2]) * mask
        within = mask[:, :, 1:] * mask[:, :, :-1]
        steps = images.diff(dim=2).abs().sum(1, keepdim=True) * within
        return {
            "colour": (red.sum((1, 2, 3)) > 0.4 * SQUARE**2).long(),
            "texture": (steps.sum((1, 2, 3)) > 0.1 * SQUARE**2).long(),
        }

    def _mask(self, dice):
        """Return 1 on a square at a rolled place, uint8 (N, 1, H, W)."""
        place = torch.arange(self.image_size)
        inside = []
        for _ in range(2):
            first = dice.below(self.image_size - SQUARE + 1)[:, None]
            inside.append((place >= first) & (place < first + SQUARE))
        return (inside[0][:, :, None] & inside[1][:, None, :])[:, None].to(torch.uint8)
