"""One of two processes with other winners: a module of its own, which the other imports."""

import torch
import torch.distributed as dist

from lit_synth.methods.minegan import Selector

WINNERS = [[[0, 0], [0, 1]], [[1, 1], [1, 1]]]  # of each minibatch, in each process


def run_rank(rank, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    selector = Selector(2, window=3)
    for winner in WINNERS:
        selector.update(torch.tensor(winner[rank]))
    torch.save((selector.probabilities(), selector.count), f"{folder}/{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()
