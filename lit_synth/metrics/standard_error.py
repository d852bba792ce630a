"""How far a metric would move with other images of the same kind."""

from collections.abc import Callable

import torch
from torch import Tensor


def standard_error(
    metric: Callable[[Tensor, Tensor], float],
    real: Tensor,
    fake: Tensor,
    repeats: int = 20,
    seed: int = 0,
) -> float:
    """Standard deviation of a metric over random halves of both sides: the delete-half jackknife.

    A bootstrap would repeat images, which metrics of distributions take for a lack of diversity.

    Args:
        metric: Maps features (N, D) of real and (M, D) of generated images to its value.
        real: Features (N, D).
        fake: Features (M, D).
        repeats: Number of halves drawn.
        seed: Seed of the draw.
    """
    rng = torch.Generator().manual_seed(seed)
    values = [metric(_half(real, rng), _half(fake, rng)) for _ in range(repeats)]
    return float(torch.tensor(values, dtype=torch.float64).std())


def _half(features: Tensor, rng: torch.Generator) -> Tensor:
    rows = torch.randperm(len(features), generator=rng)[: len(features) // 2]
    return features[rows.to(features.device)]
