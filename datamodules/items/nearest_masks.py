"""Masks ranked by their distance to others, for the references of Seg2Eye."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.items.references import IMAGE, PERSON, References

TARGETS_AT_ONCE = 256
IMAGES_AT_ONCE = 64  # of a pool, which are segmented together


@dataclass(frozen=True)
class Ranking:
    """The nearest masks of a pool to each target.

    Attributes:
        index: Positions in the pool (N, k), int64, nearest first, the earlier first of equals.
        distance: L2 between the one-hot masks (N, k), float32.
    """

    index: Tensor
    distance: Tensor


def rank_people(
    references: References, mask: str, segment: Callable[[Tensor], Tensor], classes: int, k: int
) -> Ranking:
    """Return the k images of its person's pool whose masks are nearest to that of each pair.

    Args:
        references: Pairs and their pool, of which a few images at a time are read.
        mask: Name of the pairs' masks.
        segment: Returns the masks (B, H, W) of images (B, C, H, W) of the pool.
        classes: Number of classes.
        k: Number of images that are kept of each pair.

    Raises:
        DataError: A pool is too small, or masks have other sizes or classes.
    """
    pairs, pool = references.pairs, references.pool
    index = torch.zeros(len(pairs), k, dtype=torch.int64)
    distance = torch.zeros(len(pairs), k)
    owners, of_pool = pairs.fields[PERSON], pool.fields[PERSON]
    for who in set(owners.tolist()):
        rows, members = ((people == who).nonzero().flatten() for people in (owners, of_pool))
        same = references.own[rows][:, None] == members
        own = torch.where(same.any(1), same.int().argmax(1), -1)
        blocks = (
            segment(pool.fetch(some.tolist())[IMAGE]) for some in members.split(IMAGES_AT_ONCE)
        )
        targets = pairs.fetch(rows.tolist())[mask]
        found = rank_masks(targets, blocks, classes, k, own)
        index[rows], distance[rows] = members[found.index], found.distance
    return Ranking(index, distance)


def rank_masks(
    targets: Tensor, pool: Iterable[Tensor], classes: int, k: int, own: Tensor | None = None
) -> Ranking:
    """Return the k masks of one person's pool that are nearest to each target.

    The distance is L2 between one-hot masks: sqrt(2 n) of two masks that differ in n pixels. What
    agrees is counted by one matrix product per class and block; no one-hot mask is ever stored,
    and of the pool one block at a time.

    Args:
        targets: Masks (N, H, W) of classes in 0..classes - 1.
        pool: Blocks of masks (B, H, W), in order, of any lengths.
        classes: Number of classes.
        k: Number of masks that are kept of each target.
        own: Position in the pool of each target's own image (N,), which is never chosen; -1: it is
            not there. None: none is there.

    Raises:
        DataError: Sizes differ, a class is unknown, or the pool is too small.
    """
    _check(targets, targets, classes, "targets")
    pixels = targets[0].numel()
    best = torch.full((len(targets), 0), 0.0)
    index = torch.zeros(len(targets), 0, dtype=torch.int64)
    first = 0
    for block in pool:
        _check(block, targets, classes, "pool")
        place = torch.arange(first, first + len(block))
        differing = pixels - _agreeing(targets, block, classes)
        if own is not None:
            differing[own[:, None] == place] = torch.inf
        best = torch.cat([best, differing], 1)
        index = torch.cat([index, place.expand(len(targets), -1)], 1)
        # Stable, and with earlier blocks first: equals stay in the order of the pool.
        best, order = best.sort(dim=1, stable=True)
        best, index = best[:, :k], index.gather(1, order[:, :k])
        first += len(block)
    if k < 1 or best.shape[1] < k or best.isinf().any():
        some = "" if own is None else " besides a target's own"
        raise DataError(f"{k} masks were asked for, of a pool of {first}{some}; ask for fewer.")
    return Ranking(index, (2 * best).sqrt())


def _agreeing(targets: Tensor, block: Tensor, classes: int) -> Tensor:
    """Return in how many pixels each target agrees with each mask of a block: (N, B)."""
    flat, counts = block.flatten(1), torch.zeros(len(targets), len(block))
    for label in range(classes):
        members = (flat == label).float().T
        for start in range(0, len(targets), TARGETS_AT_ONCE):
            some = slice(start, start + TARGETS_AT_ONCE)
            # Counts below 2^24 are exact in float32.
            counts[some].addmm_((targets[some].flatten(1) == label).float(), members)
    return counts


def _check(masks: Tensor, like: Tensor, classes: int, name: str) -> None:
    if masks.dim() != 3 or masks.shape[1:] != like.shape[1:]:
        raise DataError(
            f"The masks of the {name} have the shape {tuple(masks.shape)}, those of the targets "
            f"{tuple(like.shape)}; give (N, H, W) of one size."
        )
    if masks.numel() and not 0 <= int(masks.min()) <= int(masks.max()) < classes:
        raise DataError(
            f"The masks of the {name} run from {int(masks.min())} to {int(masks.max())}; give "
            f"classes of 0 to {classes - 1}."
        )
