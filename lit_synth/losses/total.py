"""Terms of a loss, added up."""

from collections.abc import Iterable

import torch
from torch import Tensor


def total(terms: Iterable[Tensor]) -> Tensor:
    """Return the sum of scalars, e.g. of a term in both directions or at all scales.

    Args:
        terms: At least one scalar.
    """
    return torch.stack(list(terms)).sum()
