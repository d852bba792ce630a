"""Errors of depth maps over all known pixels (Eigen et al. 2014; thesis equation 4.15)."""

import torch
from torch import Tensor

from lit_synth.errors import InputError

NEAREST_M = 1e-3  # predictions are raised to it, since a depth of 0 has no ratio and no logarithm
DELTAS = (1, 2, 3)


class Depth:
    """Sums over batches what the errors need; each value is over all pixels of all images.

    Pixels whose true depth is 0 are unknown and do not count.
    """

    def __init__(self) -> None:
        self.pixels = 0
        self.sums = torch.zeros(len(DELTAS) + 3, dtype=torch.float64)

    def update(self, prediction: Tensor, truth: Tensor) -> None:
        """Add depth maps (N, 1, H, W) in metres; those predicted are clamped to 1 mm or more."""
        known = truth > 0
        z = truth[known].double()
        made = prediction[known].double().clamp(min=NEAREST_M)
        ratio = torch.maximum(made / z, z / made)
        terms = [(ratio < 1.25**k).double() for k in DELTAS]
        terms += [(made - z).square(), (made.log() - z.log()).square(), (made - z).abs() / z]
        self.pixels += z.numel()
        self.sums += torch.stack([term.sum() for term in terms]).cpu()

    def values(self) -> dict[str, float]:
        """Return the errors by name.

        `delta1`, `delta2`, `delta3`: share of pixels with max(y/y', y'/y) < 1.25, 1.25², 1.25³.
        `rmse`: root mean squared error in metres. `rmse_log`: that of natural logarithms.
        `abs_rel`: mean of |y - y'| / y', y' being the truth.
        """
        if self.pixels == 0:
            raise InputError(
                "No pixel has a known depth, so nothing can be said about a depth map; "
                "give depth maps that are not all 0."
            )
        *shares, squared, squared_log, relative = (self.sums / self.pixels).tolist()
        return {
            **{f"delta{k}": share for k, share in zip(DELTAS, shares, strict=True)},
            "rmse": squared**0.5,
            "rmse_log": squared_log**0.5,
            "abs_rel": relative,
        }
