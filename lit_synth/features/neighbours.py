"""Nearest and furthest points, found block by block, and how few of them serve everybody."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from lit_synth.errors import InputError

BLOCK = 1000  # points whose distances are taken at once
KEPT = 2**31  # bytes of points that are kept rather than asked for again
BUSIEST = 20  # hubs that are told of


@dataclass(frozen=True)
class Neighbours:
    """Which points are near and far of each.

    Attributes:
        near: Positions (N, k) of the nearest others, the nearest first.
        far: Positions (N, k) of the furthest, the furthest first.
    """

    near: Tensor
    far: Tensor

    def positives(self, anchors: Tensor, share: Tensor) -> Tensor:
        """Return one of the near of each anchor (M,), the one at a share in [0, 1) of the list."""
        return _at(self.near[anchors], share)

    def negatives(self, anchors: Tensor, share: Tensor) -> Tensor:
        """Return one of the far of each anchor (M,), the one at a share in [0, 1) of the list."""
        return _at(self.far[anchors], share)

    def strangers(self, anchors: Tensor, share: Tensor) -> Tensor:
        """Return one of all that are neither an anchor (M,) nor near it, at a share in [0, 1)."""
        own = torch.cat([anchors[:, None], self.near[anchors]], dim=1).sort(dim=1).values
        found = (share * (len(self.near) - own.shape[1])).long()
        for each in own.unbind(1):  # what is left out moves all behind it one place back
            found = found + (found >= each)
        return found

    def hubs(self) -> dict[str, float]:
        """Tell how many points are among the furthest of any, and what the busiest 20 serve."""
        counts = torch.bincount(self.far.flatten().cpu(), minlength=len(self.far))
        busiest = counts.sort(descending=True).values[:BUSIEST].sum()
        return {
            "points": len(self.far),
            "furthest of any": int((counts > 0).sum()),
            f"share of the busiest {BUSIEST}": round(float(busiest / counts.sum()), 3),
        }


def find_neighbours(
    points: Callable[[int, int], Tensor], n: int, k_near: int, k_far: int
) -> Neighbours:
    """Find the nearest and the furthest points of each, by squared Euclidean distances.

    At no time are there more distances than of a block of points to all, and the points are kept
    where 2 GiB hold them, else asked for again.

    Args:
        points: Returns points `first` to `end`, (M, D), on the device to search on.
        n: How many points there are.
        k_near: How many of the nearest.
        k_far: How many of the furthest.

    Raises:
        InputError: If there are too few points.
    """
    if n <= max(k_near, k_far):
        raise InputError(
            f"there are {n} images, and each is to have {k_near} near and {k_far} far ones of the "
            f"others: give at least {max(k_near, k_far) + 1} images, or fewer neighbours."
        )
    blocks = _Blocks(points, n)
    near, far = [], []
    for start, some in blocks:
        squared = torch.cat([_distances(some, others) for _, others in blocks], dim=1)
        rows = torch.arange(len(some), device=squared.device)
        squared[rows, start + rows] = torch.inf
        near.append(squared.topk(k_near, dim=1, largest=False).indices)
        squared[rows, start + rows] = -torch.inf
        far.append(squared.topk(k_far, dim=1).indices)
    return Neighbours(torch.cat(near), torch.cat(far))


def nearest(points: Tensor, pool: Tensor) -> Tensor:
    """Return the position (N,) in a pool (M, D) that is nearest to each of points (N, D)."""
    found = []
    for some in torch.split(points, BLOCK):
        found.append(torch.cdist(some, pool).argmin(dim=1))
    return torch.cat(found)


class _Blocks:
    """The points, less their mean: differences of large numbers would lose their digits."""

    def __init__(self, points: Callable[[int, int], Tensor], n: int) -> None:
        self.points, self.n = points, n
        self.kept: dict[int, Tensor] = {}
        first = points(0, min(BLOCK, n))
        self.keep = first[0].nbytes * n <= KEPT
        self.mean = first.mean(dim=0)
        if self.keep:
            self.kept[0] = first - self.mean

    def __iter__(self) -> Iterator[tuple[int, Tensor]]:
        for start in range(0, self.n, BLOCK):
            some = self.kept.get(start)
            if some is None:
                some = self.points(start, min(start + BLOCK, self.n)) - self.mean
                if self.keep:
                    self.kept[start] = some
            yield start, some


def _at(lists: Tensor, share: Tensor) -> Tensor:
    """Return of lists (M, k) the element at a share (M,) in [0, 1) each."""
    place = (share * lists.shape[1]).long()
    return lists.gather(1, place[:, None]).squeeze(1)


def _distances(a: Tensor, b: Tensor) -> Tensor:
    """Return squared distances (N, M) of points (N, D) and (M, D)."""
    squares = a.square().sum(1)[:, None] + b.square().sum(1)
    return torch.addmm(squares, a, b.T, alpha=-2)
