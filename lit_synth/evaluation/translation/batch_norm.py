"""Translating with the batch's statistics in batch norm."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from lit_synth.networks.parts.norms import BatchNorm


@contextmanager
def batch_statistics(method: object) -> Iterator[None]:
    """Have all batch norms of a module in eval mode use the statistics of their batch.

    Their running statistics are put aside, so that nothing changes them, and put back.
    """
    norms = [
        module
        for module in _as_module(method).modules()
        if isinstance(module, BatchNorm | nn.modules.batchnorm._BatchNorm)
    ]
    aside = [(norm.running_mean, norm.running_var) for norm in norms]
    try:
        for norm in norms:
            norm.running_mean = norm.running_var = None
        yield
    finally:
        for norm, (mean, var) in zip(norms, aside, strict=True):
            norm.running_mean, norm.running_var = mean, var


def device_of(method: object) -> torch.device:
    """Return the device of a module's parameters."""
    return next(_as_module(method).parameters()).device


def _as_module(method: object) -> nn.Module:
    assert isinstance(method, nn.Module), "methods are modules"
    return method
