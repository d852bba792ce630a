"""Random transforms as matrices: of places in the plane, and of colours."""

import math

import torch
from torch import Tensor

LUMA = 3**-0.5  # each component of the grey axis v = (1, 1, 1) / sqrt(3)
COLUMNS_OF_PLACES, COLUMNS_OF_COLOURS = 18, 10


class Rolls:
    """Uniform draws, column by column, of a batch of images.

    Args:
        uniform: Draws (N, columns) from U(0, 1).
        p: Probability with which a transform happens to an image.

    Attributes:
        happened: Did any transform happen to the image? (N,)
    """

    def __init__(self, uniform: Tensor, p: Tensor) -> None:
        self._columns, self.p = iter(uniform.unbind(dim=1)), p
        self.happened = torch.zeros(len(uniform), dtype=torch.bool, device=uniform.device)

    def uniform(self) -> Tensor:
        """Return (N,) from U(0, 1)."""
        return next(self._columns)

    def normal(self) -> Tensor:
        """Return (N,) from N(0, 1)."""
        return torch.special.ndtri(self.uniform().clamp(1e-6, 1 - 1e-6))

    def happens(self, value: Tensor, otherwise: float, p: Tensor | None = None) -> Tensor:
        """Return the value (N,) of images to which the transform happens, `otherwise` of others."""
        happening = self.uniform() < (self.p if p is None else p)
        self.happened = self.happened | happening
        return torch.where(happening, value, torch.full_like(value, otherwise))


def places(rolls: Rolls, height: int, width: int, blit: bool, geometry: bool) -> Tensor:
    """Draw the inverses (N, 3, 3) of all geometric transforms together (ADA, appendix B).

    They map (column, row, 1), in pixels from the middle, of a pixel to the place that it shows. In
    the order in which they happen to the image: x-flip; rotation by 0, 90, 180 or 270 degrees;
    translation by whole pixels, up to 1/8 of the size; scaling by 2^(.2 N); rotation; scaling by
    2^(.2 N) across and its inverse along; rotation; translation by .125 N of the size. Each of the
    two rotations happens with 1 - sqrt(1 - p), so that one of them does with p.

    Args:
        rolls: Draws.
        height: Of the images.
        width: Of the images.
        blit: With the first three, which move whole pixels?
        geometry: With the others?
    """
    chain: list[Tensor] = []
    if blit:
        mirrored = rolls.happens((rolls.uniform() * 2).floor(), 0.0)
        turns = rolls.happens((rolls.uniform() * 4).floor(), 0.0)
        shifting = rolls.happens(torch.ones_like(turns), 0.0)
        shifts = [
            ((0.25 * rolls.uniform() - 0.125) * size * shifting).round() for size in (width, height)
        ]
        chain += [scaling(1 - 2 * mirrored, torch.ones_like(mirrored))]
        chain += [rotation(-math.pi / 2 * turns), translation(-shifts[0], -shifts[1])]
    if geometry:
        p_turn = 1 - (1 - rolls.p).sqrt()
        scale = rolls.happens(2 ** (0.2 * rolls.normal()), 1.0)
        before = rolls.happens((2 * rolls.uniform() - 1) * math.pi, 0.0, p_turn)
        stretch = rolls.happens(2 ** (0.2 * rolls.normal()), 1.0)
        after = rolls.happens((2 * rolls.uniform() - 1) * math.pi, 0.0, p_turn)
        moving = rolls.happens(torch.ones_like(after), 0.0)
        moved = [0.125 * rolls.normal() * size * moving for size in (width, height)]
        chain += [scaling(1 / scale, 1 / scale), rotation(-before), scaling(1 / stretch, stretch)]
        chain += [rotation(-after), translation(-moved[0], -moved[1])]
    return product(chain)


def colours(rolls: Rolls) -> tuple[Tensor, Tensor]:
    """Draw all colour transforms together: colour (3, 1) becomes linear (3, 3) colour + offset.

    In the order in which they happen: brightness + .2 N; contrast x 2^(.5 N); mirrored at the plane
    across the grey axis, in half of the cases; hue turned about it; saturation x 2^N.

    Returns:
        Linear parts (N, 3, 3) and offsets (N, 3, 1).
    """
    grey = torch.full((3, 3), LUMA**2, dtype=rolls.p.dtype, device=rolls.p.device)
    across = torch.eye(3, dtype=grey.dtype, device=grey.device) - grey
    brightness = rolls.happens(0.2 * rolls.normal(), 0.0)
    contrast = rolls.happens(2 ** (0.5 * rolls.normal()), 1.0)
    mirrored = rolls.happens((rolls.uniform() * 2).floor(), 0.0)
    hue = rolls.happens((2 * rolls.uniform() - 1) * math.pi, 0.0)
    saturation = rolls.happens(2 ** rolls.normal(), 1.0)
    vector = LUMA * hue.new_tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]])  # v x colour
    turn = grey + across * _wide(hue.cos()) + vector * _wide(hue.sin())
    flip = across + grey * _wide(1 - 2 * mirrored)
    linear = (grey + across * _wide(saturation)) @ turn @ flip * _wide(contrast)
    offset = linear.sum(dim=2, keepdim=True) * _wide(brightness)
    return linear, offset


def scaling(x: Tensor, y: Tensor) -> Tensor:
    """Return the scaling (N, 3, 3) of columns by x (N,) and of rows by y (N,)."""
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _matrix(x, zero, zero, zero, y, zero, zero, zero, one)


def rotation(angle: Tensor) -> Tensor:
    """Return the rotation (N, 3, 3) by an angle (N,), from columns to rows."""
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    return _matrix(cos, -sin, zero, sin, cos, zero, zero, zero, torch.ones_like(angle))


def translation(x: Tensor, y: Tensor) -> Tensor:
    """Return the translation (N, 3, 3) by x (N,) columns and y (N,) rows."""
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _matrix(one, zero, x, zero, one, y, zero, zero, one)


def product(matrices: list[Tensor]) -> Tensor:
    """Return the product of matrices, the first one to the left."""
    together, *others = matrices
    for matrix in others:
        together = together @ matrix
    return together


def _matrix(*entries: Tensor) -> Tensor:
    return torch.stack(entries, dim=1).reshape(-1, 3, 3)


def _wide(x: Tensor) -> Tensor:
    return x[:, None, None]
