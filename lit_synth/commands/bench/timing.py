"""Clocks and gauges that the timing tools share."""

import resource
import sys

import torch


def synchronise(device: torch.device) -> None:
    """Wait for the GPU, so that a clock read next is true."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_rss() -> int:
    """Most memory (bytes) that this process ever held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
