"""Images with labels out of nested batches: one domain per image, or several attributes."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lit_synth.nested import Nested, examples

ATTRIBUTES = "attributes"  # entry of a set whose images have several labels each
IMAGE = "image"  # and the entry of its images


def labelled(batch: Nested, names: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Return images (N, C, H, W) and labels (N, K), float32 in {0, 1}.

    Args:
        batch: Either one set that holds `image` and `attributes`, (N, K); or a set for each domain,
            whose images are of that domain alone: labels are then one-hot.
        names: Of the K attributes or domains, in the order of the labels.

    Raises:
        InputError: If a domain is in no set.
    """
    for each in batch.values():
        if ATTRIBUTES in each:
            return each[IMAGE], each[ATTRIBUTES].float()
    found = [examples(batch, name) for name in names]
    one_hot = torch.eye(len(names), device=found[0].device).repeat(len(found[0]), 1)
    # Domains alternate, so that each process's part of a global batch stays in one piece.
    return torch.stack(found, dim=1).flatten(0, 1), one_hot
