"""A random zoom under which depth stays true."""

from typing import Any

import albumentations as A
import numpy as np

from datamodules.augment.internals import ArgumentSchema, zoom_factor


class RandomZoom(A.Affine):  # type: ignore[misc]  # albumentations has no types
    """Enlarge a scene by a random factor about its centre, as if the camera came nearer.

    Depth, the only mask in floating point, is divided by the factor. What comes in from outside is
    black in images, and in masks 0.

    Args:
        scale: Bounds of the factor; below 1 the scene becomes smaller.
        p: Probability that a scene is changed.
    """

    class InitSchema(ArgumentSchema):  # type: ignore[misc]  # albumentations has no types
        """What the arguments may be."""

        scale: tuple[float, float]

    def __init__(self, scale: tuple[float, float] = (0.9, 1.1), p: float = 1.0) -> None:
        if not 0 < scale[0] <= scale[1]:
            raise ValueError(f"the bounds of scale are {scale}: give positive ones in order")
        super().__init__(scale=scale, keep_ratio=True, p=p)

    def apply_to_mask(self, mask: np.ndarray, **params: Any) -> np.ndarray:
        """Zoom a mask by nearest neighbour."""
        zoomed = super().apply_to_mask(mask, **params)
        return zoomed / zoom_factor(params) if mask.dtype == np.float32 else zoomed
