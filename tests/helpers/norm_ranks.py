"""One of two processes that share a batch: a module of its own, which the other imports."""

from datetime import timedelta

import torch
import torch.distributed as dist

from lit_synth.networks.parts.norms import BatchNorm


def features():
    torch.manual_seed(0)
    return 3 * torch.randn(6, 2, 4, 4, dtype=torch.float64) + 1


def step(norm, x, target):
    """One forward and backward; gradients are those of the mean loss over all processes."""
    x = x.clone().requires_grad_()
    y = norm(x)
    (y * target).square().mean().backward()
    return y.detach(), x.grad, norm.weight.grad


def run_rank(rank, folder):
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/store",
        rank=rank,
        world_size=2,
        timeout=timedelta(minutes=5),
    )
    x, target = features(), features().flip(0)
    norm = BatchNorm(2, running_stats=True).double()
    mine = slice(3 * rank, 3 * rank + 3)
    result = [*step(norm, x[mine], target[mine]), norm.running_mean, norm.running_var]
    if rank == 0:  # Alone: eval mode that communicated would wait for the other until it fails.
        result.append(BatchNorm(2).double().eval()(x[mine]))
    torch.save(result, f"{folder}/{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()
