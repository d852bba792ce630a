"""What distance-based metrics share: checked float64 features, squared distances, neighbours."""

from collections.abc import Iterator

import torch
from torch import Tensor

from lit_synth.errors import InputError

CHUNK_ROWS = 1024


def as_pair(first: Tensor, second: Tensor, at_least: int = 2) -> tuple[Tensor, Tensor]:
    """Check two sets of features and return them in float64, where variances keep their digits.

    Args:
        first: Features (N, D).
        second: Features (M, D).
        at_least: Fewest rows that the metric can use.

    Raises:
        InputError: If shapes cannot be compared, rows are too few or values are not finite.
    """
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise InputError(
            f"Features of shapes {tuple(first.shape)} and {tuple(second.shape)} cannot be "
            "compared: expected (N, D) and (M, D); extract both with the same extractor."
        )
    if min(len(first), len(second)) < at_least:
        raise InputError(
            f"This metric needs at least {at_least} images on each side, "
            f"given {len(first)} and {len(second)}; give more images."
        )
    if not (first.isfinite().all() and second.isfinite().all()):
        raise InputError(
            "The features hold NaN or infinite values where finite ones were expected; "
            "look for a diverged generator."
        )
    return first.detach().double(), second.detach().double()


def squared_distances(rows: Tensor, columns: Tensor) -> Tensor:
    """Squared Euclidean distances (N, M) between features (N, D) and (M, D), never negative."""
    # Distances do not change under a common shift, and centred values lose fewer digits below.
    centre = columns.mean(0)
    rows, columns = rows - centre, columns - centre
    squares = rows.square().sum(1)[:, None] + columns.square().sum(1)[None]
    return (squares - 2 * rows @ columns.T).clamp_(min=0)


def distance_chunks(rows: Tensor, columns: Tensor) -> Iterator[Tensor]:
    """Distances (n, M) for consecutive chunks of n rows, so that (N, M) never lies in memory."""
    for chunk in torch.split(rows, CHUNK_ROWS):
        yield squared_distances(chunk, columns).sqrt()


def neighbour_radii(features: Tensor, k: int) -> Tensor:
    """Distance (N,) of each row to its k-th nearest other row, of which there must be k."""
    if len(features) <= k:
        raise InputError(
            f"Neighbourhoods of {k} need at least {k + 1} images, given {len(features)}; "
            "give more images."
        )
    # The nearest row is the row itself, hence k + 1.
    chunks = distance_chunks(features, features)
    return torch.cat([distances.kthvalue(k + 1, dim=1).values for distances in chunks])


def nearest(rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """Distance (N,) of each row to its nearest column, and that column's index (N,)."""
    found = [distances.min(dim=1) for distances in distance_chunks(rows, columns)]
    return torch.cat([f.values for f in found]), torch.cat([f.indices for f in found])
