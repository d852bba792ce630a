"""Nested batches {training set: {modality: tensor}}: what they hold of a modality or of a pair."""

import torch
from torch import Tensor

from lit_synth.errors import InputError

Nested = dict[str, dict[str, Tensor]]


def holding(batch: Nested, modality: str) -> list[dict[str, Tensor]]:
    """Return the sets that hold a modality.

    Args:
        batch: Each set's entries by name.
        modality: Name of the modality.

    Raises:
        InputError: If there is none.
    """
    found = [each for each in batch.values() if modality in each]
    if not found:
        raise InputError(
            f"no training set holds the modality '{modality}': there are {_listed(batch)}; name "
            "the method's modalities as the data does."
        )
    return found


def examples(batch: Nested, modality: str) -> Tensor:
    """Return a modality's data (N, ...) of all sets that hold it.

    Args:
        batch: As many items of every set; each set's entries by name.
        modality: Name of the modality.

    Raises:
        InputError: If no set holds it.
    """
    return _interleaved([each[modality] for each in holding(batch, modality)])


def pairs(batch: Nested, source: str, target: str) -> tuple[Tensor, Tensor]:
    """Return two modalities' data, each (N, ...), of the sets that hold both.

    Args:
        batch: As many items of every set; each set's entries by name.
        source: Name of the first modality.
        target: Name of the second.

    Raises:
        InputError: If no set holds both.
    """
    found = [each for each in batch.values() if source in each and target in each]
    if not found:
        raise InputError(
            f"no training set holds pairs of '{source}' and '{target}': there are "
            f"{_listed(batch)}; give paired data, or name the method's modalities as the data does."
        )
    x, y = ([each[name] for each in found] for name in (source, target))
    return _interleaved(x), _interleaved(y)


def _interleaved(tensors: list[Tensor]) -> Tensor:
    # Items of several sets alternate: so each process's part of a global batch stays in one piece,
    # and global draws fall on the same items however many processes there are.
    return tensors[0] if len(tensors) == 1 else torch.stack(tensors, dim=1).flatten(0, 1)


def _listed(batch: Nested) -> str:
    return ", ".join(f"{name} ({', '.join(each)})" for name, each in batch.items())
