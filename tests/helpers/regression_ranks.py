"""One of two processes that know unlike shares of their targets: imported by a new process."""

from datetime import timedelta

import torch
import torch.distributed as dist

from lit_synth.batches.coding import Coding
from lit_synth.losses.reconstruction import berhu, masked_l1, masked_l2

SCENES = slice(0, 3), slice(3, 6)  # of the first and the second process


def joint_batch():
    """Return outputs, targets, a mask and labels; the second process knows much less."""
    rng = torch.Generator().manual_seed(0)
    y, x = torch.randn(2, 6, 4, 5, 5, generator=rng, dtype=torch.float64)
    share = torch.tensor([0.9, 0.8, 0.9, 0.1, 0.0, 0.2])[:, None, None, None]
    mask = torch.rand(6, 4, 5, 5, generator=rng) < share
    labels = torch.randint(4, (6, 5, 5), generator=rng).where(mask[:, 0], 255)
    return y, x, mask, labels


def losses(y, x, mask, labels, **settings):
    coding = Coding("labels", 4)
    return {
        "l1": masked_l1(y, x, mask, **settings),
        "l2": masked_l2(y, x, mask, **settings),
        "berhu": berhu(y, x, mask, **settings),
        "nothing": masked_l1(y, x, torch.zeros_like(mask), **settings),
        "labels": coding.reconstruction(y, labels, **settings),
    }


def gradients(scenes, **settings):
    """Return the gradient of each loss in the factor of all outputs, averaged as DDP does."""
    found = {}
    for name in losses(*joint_batch(), alone=True):
        factor = torch.ones((), dtype=torch.float64, requires_grad=True)
        y, *rest = (each[scenes] for each in joint_batch())
        losses(factor * y, *rest, **settings)[name].backward()
        if not settings:
            dist.all_reduce(factor.grad)
            factor.grad /= dist.get_world_size()
        found[name] = factor.grad
    return found


def run_rank(rank, folder):
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/store",
        rank=rank,
        world_size=2,
        timeout=timedelta(minutes=5),
    )
    torch.save(gradients(SCENES[rank]), f"{folder}/{rank}.pt")
    if rank == 0:  # By itself: asking the other, which is not there, would fail.
        losses(*joint_batch(), alone=True)
    dist.barrier()
    dist.destroy_process_group()
