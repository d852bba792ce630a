"""Images with labels out of nested batches: one domain per image, or several attributes."""

from collections.abc import Sequence
from itertools import permutations
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from lit_synth.batches.sets import Nested, examples
from lit_synth.contracts.translator import Translation
from lit_synth.errors import InputError

ATTRIBUTES = "attributes"  # entry of a set whose images have several labels each
IMAGE = "image"  # and the entry of its images
_DOMAINS = "domains"  # entry of a checkpoint


@runtime_checkable
class HasLabels(Protocol):
    """A method of one network for many labels.

    Attributes:
        domains: Names of the labels, in their order.
        exclusive: Has an image one of them?
    """

    domains: list[str]
    exclusive: bool


def labelled(batch: Nested, names: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Return images (N, C, H, W) and labels (N, K), float32 in {0, 1}.

    Args:
        batch: Either one set that holds `image` and `attributes`, (N, K); or a set for each domain,
            whose images are of that domain alone: labels are then one-hot.
        names: Of the K attributes or domains, in the order of the labels.

    Raises:
        InputError: If a domain is in no set, or there are more or fewer attributes than names.
    """
    for each in batch.values():
        if ATTRIBUTES in each:
            if each[ATTRIBUTES].shape[1] != len(names):
                raise InputError(
                    f"the data have {each[ATTRIBUTES].shape[1]} attributes, but the method names "
                    f"{len(names)}, {', '.join(names)}: give both the same, in the same order."
                )
            return each[IMAGE], each[ATTRIBUTES].float()
    found = [examples(batch, name) for name in names]
    one_hot = torch.eye(len(names), device=found[0].device).repeat(len(found[0]), 1)
    # Domains alternate, so that each process's part of a global batch stays in one piece.
    return torch.stack(found, dim=1).flatten(0, 1), one_hot


def label_translations(names: Sequence[str], exclusive: bool) -> list[Translation]:
    """Return what a network of labels translates.

    Args:
        names: Of the labels.
        exclusive: Has an image one label, its domain? Then every ordered pair of them; otherwise
            the reversal of each attribute of an image.
    """
    if exclusive:
        return [Translation((j,), (k,)) for j, k in permutations(names, 2)]
    return [Translation((IMAGE,), (name,)) for name in names]


def target_labels(known: Tensor, k: int) -> Tensor:
    """Return labels (N, K) in {0, 1} with label k reversed.

    Args:
        known: Labels (N, K) in {0, 1}; of domains all 0, so that k is the one that is asked for.
        k: Position of a label.
    """
    return torch.cat([known[:, :k], 1 - known[:, k : k + 1], known[:, k + 1 :]], dim=1)


# Whose labels fit.


def check_data(method: HasLabels, data: object) -> None:
    """Refuse data whose labels are not those of a method.

    Args:
        method: Of labels.
        data: A data module: the `names` of its images' attributes, if it has any, are the labels,
            and otherwise its `modalities`. None, or one that has neither, may have any.

    Raises:
        InputError: If they are others, or in another order.
    """
    ours, attributes = ", ".join(method.domains), getattr(data, "names", None)
    if attributes is not None:
        theirs = ", ".join(attributes)
        if method.exclusive:
            raise InputError(
                "the method's labels are exclusive, but images of the data have attributes, "
                f"{theirs}, any number of them: give the method exclusive: false."
            )
        if ours != theirs:
            raise InputError(
                f"the method has the attributes {ours}, but the data {theirs}: give both the same, "
                "in the same order."
            )
    elif (modalities := getattr(data, "modalities", None)) is not None:
        theirs = ", ".join(modalities)
        if not method.exclusive and IMAGE not in modalities:
            raise InputError(
                f"the method has the attributes {ours}, but images of the data have one domain "
                f"each, of {theirs}: give the method exclusive: true."
            )
        if not set(method.domains) <= set(modalities):
            raise InputError(
                f"the method has the domains {ours}, but the data {theirs}: name the method's "
                "domains as the data does."
            )


def save_labels(method: HasLabels, checkpoint: dict[str, Any]) -> None:
    """Have a checkpoint say what the labels of its networks are called."""
    checkpoint[_DOMAINS] = list(method.domains)


def check_checkpoint(method: HasLabels, checkpoint: dict[str, Any]) -> None:
    """Raise InputError if a checkpoint was trained with other labels than a method has."""
    trained = checkpoint.get(_DOMAINS, method.domains)  # older ones do not say
    if list(trained) != list(method.domains):
        raise InputError(
            f"the checkpoint was trained with the domains {', '.join(trained)}, but the method has "
            f"{', '.join(method.domains)}: give the same, in the same order."
        )
