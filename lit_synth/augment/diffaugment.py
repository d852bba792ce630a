"""DiffAugment: augment what a critic sees, differentiably (Zhao et al. 2020, arXiv:2006.10738)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_synth.augment.base import Augment, Rand
from lit_synth.errors import InputError


class DiffAugment(Augment):
    """Augment whatever a critic sees, with gradients to the images.

    Strengths are the paper's: brightness +-.5, saturation x0 to x2, contrast x.5 to x1.5; shifts by
    up to 1/8 of the size, filled with 0; a square hole of half the size, filled with 0.

    Args:
        policy: Any of `color`, `translation`, `cutout`, joined by commas, applied in the order
            given; empty for the identity.
    """

    def __init__(self, policy: str = "color,translation,cutout") -> None:
        super().__init__()
        names = [name.strip() for name in policy.split(",") if name.strip()]
        for name in names:
            if name not in AUGMENTATIONS:
                raise InputError(
                    f"DiffAugment got the policy '{policy}', whose '{name}' is unknown; join any "
                    f"of {', '.join(AUGMENTATIONS)} by commas, or leave it empty."
                )
        self.augmentations = [AUGMENTATIONS[name] for name in names]

    def forward(self, x: Tensor, rand: Rand) -> Tensor:
        for augmentation in self.augmentations:
            x = augmentation(x, rand)
        return x


def as_augment(given: str | Augment) -> Augment:
    """Return an augmentation itself, or DiffAugment with a policy of that name."""
    return DiffAugment(given) if isinstance(given, str) else given


def color(x: Tensor, rand: Rand) -> Tensor:
    """Change brightness, then saturation, then contrast of each image.

    Args:
        x: Images (N, C, H, W).
        rand: Draws from U(0, 1).

    Returns:
        Images of the same shape.
    """
    brightness, saturation, contrast = rand(len(x), 3, 1, 1, 1).unbind(dim=1)
    x = x + brightness - 0.5
    grey = x.mean(dim=1, keepdim=True)
    x = grey + (x - grey) * 2 * saturation
    level = x.mean(dim=(1, 2, 3), keepdim=True)
    return level + (x - level) * (contrast + 0.5)


def translation(x: Tensor, rand: Rand) -> Tensor:
    """Shift each image by a whole number of pixels, at most 1/8 of its size, filled with 0.

    Args:
        x: Images (N, C, H, W).
        rand: Draws from U(0, 1).

    Returns:
        Images of the same shape.
    """
    n, _, height, width = x.shape
    pad_y, pad_x = round(height / 8), round(width / 8)
    draw = rand(n, 2)
    rows = (draw[:, :1] * (2 * pad_y + 1)).long() + torch.arange(height, device=x.device)
    columns = (draw[:, 1:] * (2 * pad_x + 1)).long() + torch.arange(width, device=x.device)
    padded = F.pad(x, (pad_x, pad_x, pad_y, pad_y)).permute(0, 2, 3, 1)
    image = torch.arange(n, device=x.device)[:, None, None]
    return padded[image, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def cutout(x: Tensor, rand: Rand) -> Tensor:
    """Set a square of half the size to 0, its centre anywhere in the image.

    Args:
        x: Images (N, C, H, W).
        rand: Draws from U(0, 1).

    Returns:
        Images of the same shape.
    """
    n, _, height, width = x.shape
    draw = rand(n, 2)
    rows = _hole(draw[:, 0], height)[:, :, None]
    columns = _hole(draw[:, 1], width)[:, None, :]
    return x * ~(rows & columns)[:, None]


def _hole(draw: Tensor, size: int) -> Tensor:
    """Tell which of the size positions fall into the hole (N, size)."""
    start = (draw * (size + 1)).long() - size // 4
    offset = torch.arange(size, device=draw.device) - start[:, None]
    return (offset >= 0) & (offset < size // 2)


AUGMENTATIONS = {"color": color, "translation": translation, "cutout": cutout}
