"""Memorisation: are generated images nearer to training images than to unseen real ones?"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from lit_synth.metrics.distances import as_pair, distance_chunks, nearest, neighbour_radii

MOST = 4096  # training, and held-out, images among which neighbours are looked for
FEWEST = 0.1  # share of the fakes that must be on the manifold for a share among them to count


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


class Memorised(NamedTuple):
    """Memorisation among the fakes that look real.

    Attributes:
        share: Share, of the fakes on the manifold, that are nearer to a training than to a held-out
            image; ties count half.
        floor: The same of the held-out images, each without itself: what fresh real images give.
        excess: What `share` has above the floor, over what there is above it: 0 is a generator that
            memorises no more than reality does, 1 copies.
        on_manifold: Share of the fakes that are on the manifold.
    """

    share: float
    floor: float
    excess: float
    on_manifold: float


def memorised(
    train: Tensor, held_out: Tensor, fake: Tensor, k: int = 3, seed: int = 0
) -> Memorised:
    """Memorisation given quality: bad images cannot win by being far from everything.

    The manifold is the union of the balls around all real images, trained on or not, that reach to
    their k-th nearest other one, as in precision; neither side is favoured by it. Both sides are
    used whole, however unequal: the floor has the same inequality.

    Where fewer than a tenth of the fakes are on the manifold, those missing to a tenth count as
    nearer to a training image: noise, of which nothing can be said, gets the worst value.

    Args:
        train: Features (N, D) of the images that the generator was trained on.
        held_out: Features (K, D) of real images of the same distribution that it never saw.
        fake: Features (M, D) of generated images.
        k: Neighbours within a ball.
        seed: Seeds the draw of `MOST` images of a side that has more.
    """
    train, fake = as_pair(train, fake, at_least=1)
    held_out, _ = as_pair(held_out, held_out)
    train, held_out = _subset(train, MOST, seed), _subset(held_out, MOST, seed)
    real, n_train = torch.cat([train, held_out]), len(train)
    radii = neighbour_radii(real, k)
    share, on_manifold = _share_of_train(fake, real, radii, n_train, itself=False)
    floor, _ = _share_of_train(held_out, real, radii, n_train, itself=True)
    # Held-out images that are all copies of training images leave nothing above the floor.
    excess = max(share - floor, 0) / max(1 - floor, 1 / len(held_out))
    return Memorised(share, floor, excess, on_manifold)


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


def _share_of_train(
    rows: Tensor, real: Tensor, radii: Tensor, n_train: int, itself: bool
) -> tuple[float, float]:
    """Return the share of rows on the manifold that are nearer to train, and the share on it.

    Args:
        rows: Features (M, D).
        real: Features (N, D), those of training images first.
        radii: Radius (N,) of each real image's ball.
        n_train: Number of training images.
        itself: Are the rows the held-out images, none of which is its own neighbour?
    """
    nearer, inside, start = [], [], 0
    for distances in distance_chunks(rows, real):
        if itself:
            position = torch.arange(len(distances), device=rows.device)
            distances[position, n_train + start + position] = torch.inf
        start += len(distances)
        inside.append((distances <= radii).any(dim=1))
        to_train, to_held_out = distances[:, :n_train].amin(1), distances[:, n_train:].amin(1)
        nearer.append((to_train < to_held_out).double() + 0.5 * (to_train == to_held_out).double())
    on_manifold = torch.cat(inside)
    n_inside, fewest = int(on_manifold.sum()), math.ceil(FEWEST * len(rows))
    missing = max(fewest - n_inside, 0)
    total = float(torch.cat(nearer)[on_manifold].sum()) + missing
    return total / (n_inside + missing), n_inside / len(rows)


def _subset(features: Tensor, size: int, seed: int) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return features[torch.randperm(len(features), generator=rng)[:size].to(features.device)]
