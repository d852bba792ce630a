"""What a translation is measured by, by the kind of its target; and priors to compare it with."""

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from lit_synth.errors import InputError
from lit_synth.metrics.depth import Depth
from lit_synth.metrics.segmentation import Segmentation

RANGE = 2.0  # of images in [-1, 1]


class Meter(Protocol):
    """Compares what was made with the truth, batch by batch."""

    def update(self, made: Tensor, truth: Tensor) -> None:
        """Add a batch of the same scenes in the same order."""

    def values(self) -> dict[str, float]:
        """Return the values over all batches, by name."""


class Pixels:
    """Mean differences of images in [-1, 1] over all values of all images."""

    def __init__(self) -> None:
        self.count, self.absolute, self.squared = 0, 0.0, 0.0

    def update(self, made: Tensor, truth: Tensor) -> None:
        """Add images (N, C, H, W) in [-1, 1]."""
        difference = made.double() - truth.double()
        self.count += difference.numel()
        self.absolute += float(difference.abs().sum())
        self.squared += float(difference.square().sum())

    def values(self) -> dict[str, float]:
        """Return `l1`, `mse`, and `psnr` in dB: 10 log10(2² / mse), infinite without a difference.

        The two errors are of values in [-1, 1]; for values in [0, 1] they are a half and a quarter.
        """
        mse = self.squared / self.count
        psnr = 10 * math.log10(RANGE**2 / mse) if mse > 0 else math.inf
        return {"l1": self.absolute / self.count, "mse": mse, "psnr": psnr}


def meter(kind: str, channels: int, class_names: Sequence[str] = ()) -> Meter:
    """Return a new meter of a modality.

    Args:
        kind: `image`, `depth` or `labels`.
        channels: The number of classes, of labels.
        class_names: Of labels.
    """
    if kind == "labels":
        return Segmentation(channels, class_names)
    return Depth() if kind == "depth" else Pixels()


def majority(labels: Tensor, num_classes: int) -> Tensor:
    """Return the most frequent class at each pixel of label maps (N, H, W): (1, H, W).

    A pixel that is 255 everywhere gets the class that is the most frequent of all.
    """
    classes = range(num_classes)
    counts = torch.stack([(labels == index).sum(0) for index in classes])
    overall = counts.sum((1, 2)).argmax()
    return torch.where(counts.sum(0) > 0, counts.argmax(0), overall)[None]


def median_depth(depth: Tensor) -> Tensor:
    """Return the median of the known depths at each pixel of maps (N, 1, H, W): (1, 1, H, W).

    A pixel that is unknown everywhere gets the median of all known depths.
    """
    known = torch.where(depth > 0, depth, torch.nan)
    if not (depth > 0).any():
        raise InputError("No pixel of the training sets has a known depth; give depths above 0.")
    median = known.nanmedian(0, keepdim=True).values
    return torch.where(median.isnan(), known.flatten().nanmedian(), median)
