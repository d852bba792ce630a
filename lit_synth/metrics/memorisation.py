"""Memorisation: are generated images nearer to training images than to unseen real ones?"""

from typing import NamedTuple

import torch
from torch import Tensor

from lit_synth.metrics.distances import as_pair, nearest, neighbour_radii


class Memorisation(NamedTuple):
    """Distances of fakes to training images, against distances to as many held-out ones.

    Attributes:
        ratio: Mean distance to the nearest training image over that to the nearest held-out image.
            1 is a generator that knows no more than the distribution, 0 copies.
        share: Share of fakes nearer to a training than to a held-out image; ties count half, so
            0.5 is the value without memorisation.
        nearest: Index (M,) of the nearest of all training images, for each fake.
        distance: Distance (M,) to it.
    """

    ratio: float
    share: float
    nearest: Tensor
    distance: Tensor


def memorisation(train: Tensor, held_out: Tensor, fake: Tensor, seed: int = 0) -> Memorisation:
    """Compare fakes with equally many training and held-out images; the larger set is subsampled.

    With unequal sets, the larger one would be nearer by size alone.

    Args:
        train: Features (N, D) of the images that the generator was trained on.
        held_out: Features (K, D) of real images of the same distribution that it never saw.
        fake: Features (M, D) of generated images.
        seed: Seed of the subsampling.
    """
    train, fake = as_pair(train, fake, at_least=1)
    held_out, _ = as_pair(held_out, fake, at_least=1)
    size = min(len(train), len(held_out))
    to_train, _ = nearest(fake, _subset(train, size, seed))
    to_held_out, _ = nearest(fake, _subset(held_out, size, seed))
    closer = (to_train < to_held_out).double() + 0.5 * (to_train == to_held_out).double()
    distance, index = nearest(fake, train)
    ratio = to_train.mean() / to_held_out.mean()
    return Memorisation(float(ratio), float(closer.mean()), index, distance)


def nearest_ratio(train: Tensor, fake: Tensor) -> float:
    """Memorisation without held-out images: how near fakes are, by the training set's own measure.

    The mean distance from a fake to its nearest training image, over that from a training image to
    its nearest other one. Far below 1 the generator copies; 1 is what fresh samples give.

    Args:
        train: Features (N, D) of the generator's training images.
        fake: Features (M, D) of generated images.
    """
    train, fake = as_pair(train, fake)
    to_train, _ = nearest(fake, train)
    return float(to_train.mean() / neighbour_radii(train, k=1).mean())


def _subset(features: Tensor, size: int, seed: int) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return features[torch.randperm(len(features), generator=rng)[:size].to(features.device)]
