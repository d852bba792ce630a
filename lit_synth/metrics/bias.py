"""What a translation changed that it should have kept, as classifiers see it; one value per input.

The measures of the thesis' section 4.6, over the S translations of each input. `wanted` and `joint`
are ours: a map that leaves everything as it is is never misclassified, and must not win.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

Verdict = tuple[Tensor, Tensor]  # what was read off translations (N, S), and the truth (N,)


def misclassified(read: Tensor, truth: Tensor) -> Tensor:
    """Return the share of translations in which an attribute is not the input's, (N,).

    Args:
        read: Values of the attribute that a classifier reads off the translations, int64 (N, S).
        truth: Value that the input has, int64 (N,).
    """
    return (read != truth[:, None]).double().mean(1)


def confidence_drop(logits: Tensor, of_input: Tensor, truth: Tensor) -> Tensor:
    """Return f(x) - f(x'), the fall of the probability of the input's value, in [-1, 1], (N,).

    Args:
        logits: A classifier's of the translations, (N, S, K).
        of_input: Its logits of the inputs, (N, K).
        truth: Value that the input has, int64 (N,).
    """
    before = of_input.double().softmax(1).gather(1, truth[:, None])
    index = truth[:, None, None].expand(-1, logits.shape[1], 1)
    after = logits.double().softmax(2).gather(2, index)[..., 0]
    return (before - after).mean(1)


def wanted(read: Tensor, value: Tensor) -> Tensor:
    """Return the share of translations that have the value they should have, (N,).

    Args:
        read: Values of the wanted attribute, read off the translations, int64 (N, S).
        value: Wanted of each input's translations, int64 (N,).
    """
    return (read == value[:, None]).double().mean(1)


def joint(change: Verdict, kept: Sequence[Verdict]) -> Tensor:
    """Return the share of translations with the wanted value and all kept ones, (N,).

    Args:
        change: Read values of the wanted attribute, int64 (N, S), and the wanted value (N,).
        kept: For each attribute that is to stay, what was read, and the input's value.
    """
    right = [read == value[:, None] for read, value in (change, *kept)]
    return torch.stack(right).all(0).double().mean(1)


def disagreement(readings: Sequence[Tensor]) -> Tensor:
    """Return the share of translations of which not all judges read the same value, (N,).

    Args:
        readings: What each of them read off the same translations, int64 (N, S).
    """
    return torch.stack([read != readings[0] for read in readings]).any(0).double().mean(1)
