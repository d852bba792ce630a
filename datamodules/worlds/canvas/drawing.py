"""Anti-aliased drawing of many images at once from signed distances."""

import torch
from torch import Tensor


def column(values: Tensor) -> Tensor:
    """Reshape (N,) for arithmetic with (N, H, W)."""
    return values[:, None, None]


class Frame:
    """Local coordinates on a canvas: u to the right of an origin, v above it, in one unit.

    Args:
        size: Side of the canvas in pixels.
        x: Origin from the left (N,), in sides of the canvas.
        y: Origin from the top (N,).
        unit: Length of 1 (N,), in sides of the canvas.
        mirrored: Where True (N,), u grows to the left.
    """

    def __init__(self, size: int, x: Tensor, y: Tensor, unit: Tensor, mirrored: Tensor) -> None:
        centres = (torch.arange(size) + 0.5) / size
        sign = torch.where(mirrored, -1.0, 1.0)
        self.u = ((centres - x[:, None]) * (sign / unit)[:, None])[:, None, :]
        self.v = ((y[:, None] - centres) / unit[:, None])[:, :, None]
        self.pixels = column(unit * size)  # per unit

    def coverage(self, distance: Tensor) -> Tensor:
        """Return the share of each pixel that lies within a signed distance of 0."""
        return (0.5 - distance * self.pixels).clamp_(0, 1)

    def box(self, left: Tensor, right: Tensor, bottom: Tensor, top: Tensor) -> Tensor:
        """Return the coverage of an upright box; arguments (N,)."""
        across = torch.maximum(column(left) - self.u, self.u - column(right))
        upward = torch.maximum(column(bottom) - self.v, self.v - column(top))
        return self.coverage(across) * self.coverage(upward)

    def slab(
        self,
        left: Tensor,
        right: Tensor,
        bottom: Tensor,
        top: Tensor,
        lean_left: Tensor | float = 0.0,
        lean_right: Tensor | float = 0.0,
        radius: float = 0.02,
    ) -> Tensor:
        """Return the coverage of a trapezoid with round corners.

        Args:
            left: Where its left side meets the bottom (N,).
            right: Where its right side meets the bottom (N,).
            bottom: Lower edge (N,).
            top: Upper edge (N,).
            lean_left: How far the left side moves right per unit upwards.
            lean_right: How far the right side moves left per unit upwards.
            radius: Of the corners.
        """
        side = torch.maximum(
            self._plane(column(left) - self.u, bottom, lean_left),
            self._plane(self.u - column(right), bottom, lean_right),
        )
        edge = torch.maximum(column(bottom) - self.v, self.v - column(top)) + radius
        side += radius
        outside = (side.clamp(min=0).square_() + edge.clamp(min=0).square()).sqrt_()
        return self.coverage(outside + torch.maximum(side, edge).clamp_(max=0) - radius)

    def _plane(self, across: Tensor, bottom: Tensor, lean: Tensor | float) -> Tensor:
        slope = torch.as_tensor(lean, dtype=torch.float32).reshape(-1, 1, 1)
        scale = (1 + slope.square()).rsqrt()
        return across * scale + (self.v - column(bottom)) * (slope * scale)

    def distance_to(self, centres: list[Tensor], height: Tensor) -> Tensor:
        """Return the distance to the nearest of several points (u, height), u each (N,)."""
        across = torch.stack([(self.u - column(u)).abs() for u in centres]).amin(0)
        return (across.square() + (self.v - column(height)).square()).sqrt_()


def paint(canvas: Tensor, coverage: Tensor, colour: Tensor) -> None:
    """Paint a colour over a canvas in place.

    Args:
        canvas: RGB (N, 3, H, W).
        coverage: Opacity in [0, 1], broadcastable to (N, H, W).
        colour: (N, 3), or (N, 3, H, 1) for a vertical gradient.
    """
    end = colour[:, :, None, None] if colour.dim() == 2 else colour
    canvas.lerp_(end.expand_as(canvas), coverage[:, None].expand_as(canvas))


def gradient(low: Tensor, high: Tensor, share: Tensor) -> Tensor:
    """Return colours (N, 3, H, 1) from `low` to `high` (N, 3) by `share` (N, H, 1) in [0, 1]."""
    return torch.lerp(low[:, :, None, None], high[:, :, None, None], share[:, None])
