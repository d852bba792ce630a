"""How much the translations of one input differ from style to style; one value per input.

The thesis (section 5.5) reports LPIPS between outputs of the same input. A mean over pairs of
outputs of different inputs, as in its table 6.2, says nothing of this kind: a method without styles
has it too.
"""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor

LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue, ITU-R BT.601
COARSE = 4  # pixels, of which the mean is compared


def pairwise_distance(points: Tensor) -> Tensor:
    """Return the mean squared distance of two different styles, (N,); 0 for one style.

    Args:
        points: (N, S, D), one for each of S styles, such as `PerceptualDistance.embed` returns.
    """
    n_styles = points.shape[1]
    # The mean over pairs of |p - q|^2 is twice the variance of unbiased normalisation.
    spread = (points - points.mean(1, keepdim=True)).square().sum((1, 2))
    return 2 * spread / max(n_styles - 1, 1)


def pixel_difference(images: Tensor) -> Tensor:
    """Return at each pixel the mean absolute difference of two different styles, (N, 1, H, W).

    Args:
        images: (N, S, C, H, W).
    """
    n_styles = images.shape[1]
    # Sorted, a value is subtracted in as many pairs as lie above it, and added in those below.
    signs = torch.arange(1 - n_styles, n_styles, 2, device=images.device).to(images)
    total = (images.sort(dim=1).values * signs.view(-1, 1, 1, 1)).sum(1)
    pairs = max(n_styles * (n_styles - 1) // 2, 1)
    return total.mean(1, keepdim=True) / pairs


def kept_difference(images: Tensor, mask: Tensor, kept: Tensor) -> Tensor:
    """Return the mean difference inside a mask over all pairs of two styles, (N,).

    A pair differs only as far as both of it keep the content: one that does not counts 0, so that
    nothing is won by losing it. Compared are means of `COARSE` x `COARSE` pixels, in which noise
    cancels and colours do not. NaN where the mask is empty.

    Args:
        images: (N, S, C, H, W).
        mask: (N, 1, H, W) of 0 and 1.
        kept: Whether a translation keeps the content, bool (N, S).
    """
    n_styles = images.shape[1]
    side = min(COARSE, *images.shape[-2:])
    pooled = F.avg_pool2d(images.flatten(0, 1), side)
    small = pooled.reshape(*images.shape[:2], *pooled.shape[1:])
    weight = F.avg_pool2d(mask.to(images), side)
    total = images.new_zeros(len(images))
    for i, j in itertools.combinations(range(n_styles), 2):
        difference = (small[:, i] - small[:, j]).abs().mean(1, keepdim=True)
        both = (kept[:, i] & kept[:, j]).to(images)
        total = total + masked_mean(difference, weight) * both
    return total / max(n_styles * (n_styles - 1) // 2, 1)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of each image over the pixels of its mask, (N,); NaN where it has none.

    Args:
        values: (N, 1, H, W).
        mask: (N, 1, H, W) of 0 and 1.
    """
    mask = mask.to(values)
    return (values * mask).sum((1, 2, 3)) / mask.sum((1, 2, 3))


def shade_std(images: Tensor, mask: Tensor) -> Tensor:
    """Return the standard deviation over styles of the mean luminance in a mask, (N,).

    Args:
        images: (N, S, C, H, W) in [-1, 1], grey or RGB; the luminance is in [0, 1].
        mask: (N, 1, H, W) of 0 and 1; NaN where all is 0.
    """
    if images.shape[1] < 2:
        return images.new_zeros(len(images))
    weights = torch.tensor(LUMINANCE if images.shape[2] == 3 else (1.0,)).to(images)
    luminance = torch.einsum("nschw,c->nshw", (images + 1) / 2, weights)
    mask = mask.to(images)
    means = (luminance * mask).sum((2, 3)) / mask.sum((2, 3))
    return means.std(dim=1)
