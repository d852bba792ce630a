"""How far the styles of two images are from each other, without anybody's word on it."""

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_synth.features.classifier import ReleaseClassifier
from lit_synth.features.stages import StageFeatures


class StyleDistance(ABC):
    """Maps images to points whose squared Euclidean distances are those of the styles."""

    @abstractmethod
    def embed(self, images: Tensor, inside: Tensor | None = None) -> Tensor:
        """Return points (N, D).

        Args:
            images: (N, C, H, W) in [-1, 1].
            inside: Share of each pixel that counts (N, 1, H, W); None: all of all.
        """


class GramDistance(StyleDistance):
    """The mean squared difference of Gram matrices, summed over the stages of a network.

    The Gram matrix of a stage with features F (pixels, C) is F^T F / (C pixels) (Gatys et al. 2016,
    arXiv:1508.06576). Where a part of an image counts, its pixels alone are summed and counted.

    Args:
        weights: See `StageFeatures`.
        caffe: See `StageFeatures`.
    """

    def __init__(self, weights: str | None = None, caffe: bool = False) -> None:
        self.features = StageFeatures(weights, caffe)

    @torch.no_grad()
    def embed(self, images: Tensor, inside: Tensor | None = None) -> Tensor:
        return torch.cat([_gram(stage, inside) for stage in self.features(images)], dim=1)


class MomentDistance(StyleDistance):
    """The squared difference of each channel's mean and standard deviation: the honest baseline."""

    @torch.no_grad()
    def embed(self, images: Tensor, inside: Tensor | None = None) -> Tensor:
        share = _shares(images, inside)
        mean = (images * share).sum((2, 3))
        variance = ((images - mean[:, :, None, None]).square() * share).sum((2, 3))
        return torch.cat([mean, variance.sqrt()], dim=1)


class ClassifierDistance(StyleDistance):
    """The squared distance of what the last layer of a classifier sees of the images.

    Expressions, say: the classifier's classes are then what style is. It sees whole images.

    Args:
        classifier: Release of `lit-synth train-classifier`, a folder or a bundled name.
    """

    def __init__(self, classifier: str) -> None:
        self.classifier = ReleaseClassifier(classifier)

    @torch.no_grad()
    def embed(self, images: Tensor, inside: Tensor | None = None) -> Tensor:  # noqa: ARG002 - none
        return self.classifier.to(images.device)(images).features


def _gram(stage: Tensor, inside: Tensor | None) -> Tensor:
    """Return the part of a point (N, C (C + 1) / 2) that a stage (N, C, h, w) makes."""
    channels = stage.shape[1]
    share = _shares(stage, inside).flatten(2)
    flat = stage.flatten(2)
    gram = (flat * share) @ flat.transpose(1, 2) / channels
    # What stands twice counts twice; the mean is over all C^2.
    row, column = torch.triu_indices(channels, channels, device=stage.device)
    twice = torch.where(row == column, 1.0, 2.0).sqrt() / channels
    return gram[:, row, column] * twice.to(gram)


def _shares(x: Tensor, inside: Tensor | None) -> Tensor:
    """Return the weight of each pixel of x (N, C, h, w), whose sum is 1; (N, 1, h, w)."""
    if inside is None:
        return x.new_full((1, 1, *x.shape[-2:]), 1 / x[0, 0].numel())
    small = F.interpolate(inside.to(x), x.shape[-2:], mode="area")
    return small / small.sum((2, 3), keepdim=True).clamp(min=1e-6)
