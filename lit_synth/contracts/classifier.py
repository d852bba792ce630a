"""Classifying: what a method that trains classifiers is asked for."""

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Classifier(Protocol):
    """A method that trains one classifier or several, each with a name."""

    def classify(self, images: Tensor) -> dict[str, Tensor]:
        """Return name -> logits (N, K) of images (N, C, H, W) in [-1, 1]."""

    def measured(self, values: dict[str, float]) -> None:
        """Take note of what an evaluation has found: `<name>/accuracy`, in [0, 1]."""
