"""Regression losses on what is known of a target, always reduced in float32 or wider.

With a mask, processes that train together divide by what is known to all of them, W-th part each:
the mean of their gradients is then that of one process on the joint batch. All of them must call.
"""

import torch
import torch.distributed as dist
from torch import Tensor

BERHU_SHARE = 0.2  # of an image's largest error: where berHu turns from linear to quadratic


def masked_l1(y: Tensor, x: Tensor, mask: Tensor | None = None, *, alone: bool = False) -> Tensor:
    """Mean over the known elements of |y - x|.

    Args:
        y: Predictions (N, C, H, W).
        x: Targets (N, C, H, W).
        mask: True where the target is known (N, C, H, W); None if it is known everywhere.
        alone: Does this process train something by itself?

    Returns:
        Scalar; 0 if nothing is known.
    """
    return _mean(_error(y, x, mask).abs(), mask, alone)


def masked_l2(y: Tensor, x: Tensor, mask: Tensor | None = None, *, alone: bool = False) -> Tensor:
    """Mean over the known elements of (y - x)^2.

    Args:
        y: Predictions (N, C, H, W).
        x: Targets (N, C, H, W).
        mask: True where the target is known (N, C, H, W); None if it is known everywhere.
        alone: Does this process train something by itself?

    Returns:
        Scalar; 0 if nothing is known.
    """
    return _mean(_error(y, x, mask).square(), mask, alone)


def berhu(y: Tensor, x: Tensor, mask: Tensor | None = None, *, alone: bool = False) -> Tensor:
    """Mean over the known elements of B(y - x) (arXiv:1606.00373, section 3.3; thesis eq 4.5).

    B(e) = |e| if |e| <= c, else (e^2 + c^2) / (2 c), with c = 0.2 max |e| of each image, through
    which no gradient passes.

    Args:
        y: Predictions (N, C, H, W).
        x: Targets (N, C, H, W).
        mask: True where the target is known (N, C, H, W); None if it is known everywhere.
        alone: Does this process train something by itself?

    Returns:
        Scalar; 0 if nothing is known.
    """
    error = _error(y, x, mask).abs()
    c = BERHU_SHARE * error.detach().amax(dim=(1, 2, 3), keepdim=True)
    # An image without error has c = 0: its quadratic branch must not divide by it.
    quadratic = (error.square() + c.square()) / (2 * c.clamp(min=torch.finfo(c.dtype).tiny))
    return _mean(torch.where(error <= c, error, quadratic), mask, alone)


def _error(y: Tensor, x: Tensor, mask: Tensor | None) -> Tensor:
    """Take y - x in float32 or wider, 0 where the target is unknown."""
    wide = torch.promote_types(torch.promote_types(y.dtype, x.dtype), torch.float32)
    error = y.to(wide) - x.to(wide)
    return error if mask is None else error.where(mask, 0)


def _mean(loss: Tensor, mask: Tensor | None, alone: bool) -> Tensor:
    return loss.mean() if mask is None else loss.sum() / share_of(mask.sum(), alone)


def share_of(count: Tensor, alone: bool = False) -> Tensor:
    """Return what to divide a sum over `count` known elements by: at least 1 in all processes.

    Args:
        count: Known elements in this process, an integer scalar.
        alone: Are there no other processes that call this too?

    Returns:
        Scalar: the count of all processes over their number.
    """
    if alone or not dist.is_initialized() or dist.get_world_size() == 1:
        return count.clamp(min=1)
    everyones = count.clone()
    dist.all_reduce(everyones)
    return everyones.clamp(min=1) / dist.get_world_size()
