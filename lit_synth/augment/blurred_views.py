"""Views of images that blur what alternates from pixel to pixel: for readers that can be fooled."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_synth.augment.base import Augment, Rand


class BlurredViews(Augment):
    """Shift, blur and disturb each image, so that a pattern of single pixels tells a reader little.

    Args:
        shift: Pixels that an image is shifted by at most, along each axis; its border is repeated.
        blur: Share at most of the mean over 3x3 pixels, by weights 1, 2, 1, in place of the image.
        noise: Greatest amplitude of uniform noise; each image has one of its own.
    """

    def __init__(self, shift: int = 1, blur: float = 1.0, noise: float = 0.2) -> None:
        super().__init__()
        self.shift, self.blur, self.noise = shift, blur, noise

    def forward(self, x: Tensor, rand: Rand) -> Tensor:
        x = shifted(x, self.shift, rand)
        x = x + self.blur * rand(len(x), 1, 1, 1) * (smoothed(x) - x)
        amplitude = self.noise * rand(len(x), 1, 1, 1)
        return x + amplitude * (2 * rand(*x.shape) - 1)


def shifted(x: Tensor, most: int, rand: Rand) -> Tensor:
    """Shift each image by a whole number of pixels, at most `most`, its border repeated.

    Args:
        x: Images (N, C, H, W).
        most: Pixels along each axis.
        rand: Draws from U(0, 1).
    """
    n, _, height, width = x.shape
    offsets = (rand(n, 2) * (2 * most + 1)).long() - most
    rows = (torch.arange(height, device=x.device) + offsets[:, :1]).clamp(0, height - 1)
    columns = (torch.arange(width, device=x.device) + offsets[:, 1:]).clamp(0, width - 1)
    image = torch.arange(n, device=x.device)[:, None, None]
    return x.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2)


def smoothed(x: Tensor) -> Tensor:
    """Return the mean of each pixel's 3x3 neighbourhood by weights 1, 2, 1 along both axes.

    Args:
        x: Images (N, C, H, W); the border is repeated.
    """
    line = x.new_tensor([0.25, 0.5, 0.25])
    kernel = torch.outer(line, line).expand(x.size(1), 1, 3, 3)
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, groups=x.size(1))
