"""Class mixes by count: which images of each class a split keeps."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from datamodules.errors import DataError


def check_counts(counts: Mapping[int, int], names: Sequence[str]) -> None:
    """Refuse classes that do not exist and counts below 1."""
    check_classes(list(counts), names)
    for cls, n in counts.items():
        if n < 1:
            raise DataError(f"counts asks for {n} images of {names[cls]}; give 1 or more.")


def check_classes(classes: Sequence[int], names: Sequence[str]) -> None:
    """Refuse an empty choice of classes, unknown ones and repeats."""
    if not classes:
        raise DataError("The choice of classes is empty; name at least one class.")
    for cls in classes:
        if not 0 <= cls < len(names):
            raise DataError(f"There is no class {cls}; the classes are 0 to {len(names) - 1}.")
    if len(set(classes)) < len(classes):
        raise DataError(f"The classes {list(classes)} name one twice; name each once.")


def first_of_each(labels: Tensor, counts: Mapping[int, int], names: Sequence[str]) -> Tensor:
    """Return the positions of the first `counts[c]` images of each class c, in order.

    Args:
        labels: Classes (N,).
        counts: How many of which class.
        names: Names of all classes, for the message.
    """
    chosen = []
    for cls, n in counts.items():
        found = torch.nonzero(labels == cls).flatten()
        if len(found) < n:
            raise DataError(
                f"counts asks for {n} training images of class {names[cls]} but there are "
                f"{len(found)}; ask for at most {len(found)}."
            )
        chosen.append(found[:n])
    return torch.cat(chosen).sort().values


def in_proportion(counts: Mapping[int, int], available: int) -> dict[int, int]:
    """Scale a mix so that its largest class has `available` images and none has fewer than one."""
    largest = max(counts.values())
    return {cls: max(1, round(available * n / largest)) for cls, n in counts.items()}
