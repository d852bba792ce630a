"""Losses of images made from labels: a segmenter as adversary, and features of discriminators."""

from collections.abc import Sequence

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from lit_synth.losses.total import total

NONE = -100  # a target that no pixel is held to


def class_weights(ids: Tensor, num_classes: int) -> Tensor:
    """Return weights of the classes, inverse to their pixels in the batches of all processes.

    alpha_c = pixels / (classes that occur * pixels of c) (OASIS, arXiv:2012.04781, eq. 1, as its
    code has it): a batch in which each pixel has a class weighs as many as without weights.

    Args:
        ids: Labels, int64 (N, H, W); `num_classes` and greater are pixels of no class.
        num_classes: Classes K.

    Returns:
        (K,), 0 for a class that does not occur.
    """
    counts = torch.bincount(ids.clamp(max=num_classes).flatten(), minlength=num_classes + 1)
    if dist.is_initialized() and dist.get_world_size() > 1:
        dist.all_reduce(counts)
    pixels, counts = counts.sum(), counts[:num_classes]
    occur = (counts > 0).sum().clamp(min=1)
    weights = pixels / (occur * counts.clamp(min=1)).to(torch.get_default_dtype())
    return weights.where(counts > 0, 0)


def segmentation_loss(logits: Tensor, ids: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of pixels that are to be taken for their classes, by weights of these.

    Args:
        logits: Of fake, then of the classes, (N, 1 + K or more, H, W).
        ids: Labels, int64 (N, H, W); pixels of no class do not count.
        weights: Of the classes, (K,).

    Returns:
        Scalar mean over all pixels.
    """
    known = ids < len(weights)
    targets = torch.where(known, ids + 1, NONE)
    each = F.cross_entropy(_widen(logits), targets, ignore_index=NONE, reduction="none")
    return (each * weights[ids.where(known, 0)]).mean()


def fake_loss(logits: Tensor) -> Tensor:
    """Cross-entropy of pixels that are to be taken for fake.

    Args:
        logits: Of fake, then of the classes, (N, 1 + K, H, W).

    Returns:
        Scalar mean over all pixels.
    """
    return -_widen(logits).log_softmax(dim=1)[:, 0].mean()


def labelmix_loss(mixed: Tensor, real: Tensor, fake: Tensor, mask: Tensor) -> Tensor:
    """Mean squared difference of the logits of mixed images and mixed logits (arXiv:2012.04781).

    Args:
        mixed: Logits (N, C, H, W) of images mixed by the mask.
        real: Of the real images.
        fake: Of the made images.
        mask: True where pixels are those of the real images (N, 1, H, W).

    Returns:
        Scalar.
    """
    return F.mse_loss(_widen(mixed), _widen(torch.where(mask, real, fake)))


def feature_matching(
    made: Sequence[Sequence[Tensor]], true: Sequence[Sequence[Tensor]], first: int = 0
) -> Tensor:
    """L1 between features of made and of true images, summed over layers (arXiv:1711.11585, eq. 4).

    Args:
        made: Features of each scale's layers, its scores last, which do not count.
        true: Likewise.
        first: Layer to begin with.

    Returns:
        Scalar mean over scales.
    """
    terms = [
        F.l1_loss(_widen(y), _widen(x).detach())
        for ys, xs in zip(made, true, strict=True)
        for y, x in zip(ys[first:-1], xs[first:-1], strict=True)
    ]
    return total(terms) / len(made)


def _widen(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
