"""One of two processes that train together: a module of its own, since a new process imports it."""

import os

import tiny
import torch
import torch.distributed as dist


def gradients(name, batch_size, **settings):
    """Fit a tiny run of tests/conf/translation; return the gradients of each step, and the end.

    The learning rate is small, since Adam makes whole steps of rounding errors; where max-pools and
    signs would choose by them, the run is in float64.
    """
    method, data = tiny.build(f"translation/{name}", lr=1e-6)
    method.stages, data.batch_size = method.stages[:1], batch_size
    record = tiny.Minimized(method)
    precision = "64-true" if name in ("mmnets_unpaired", "seg2eye") else "32-true"
    tiny.fit(method, data, precision=precision, **settings)
    return record.gradients, method.state_dict()


def run_rank(rank, port, folder, names):
    """Fit runs as one of two processes; save what each of them gave as `<name>-<rank>.pt`."""
    environment = {
        "TORCHELASTIC_RUN_ID": "two",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "GLOO_SOCKET_IFNAME": "lo",
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "GROUP_RANK": "0",
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
    }
    torch.set_num_threads(1)
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        for name in names:
            both = gradients(name, 2, devices=2, strategy="ddp_find_unused_parameters_true")
            torch.save(both, f"{folder}/{name}-{rank}.pt")
    finally:
        os.environ.clear()
        os.environ.update(before)
        if dist.is_initialized():
            dist.destroy_process_group()


def run_rank_one(_index, *arguments):
    run_rank(1, *arguments)
