"""What the processes of a run tell each other."""

from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


def gathered(x: Tensor) -> Tensor:
    """Return the tensors of all processes, joined by rank; all must have one shape."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return x
    parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, x.contiguous())
    return torch.cat(parts)


def of_all_processes(value: T) -> list[T]:
    """Return what `value` is in each process, by rank; all processes must call this."""
    if not dist.is_initialized():
        return [value]
    values = [value] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values
