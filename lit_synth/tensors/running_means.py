"""Running means of scalars that are read now and then."""

from typing import Any

import torch
from torch import Tensor

from lit_synth.tensors.processes import of_all_processes


class RunningMeans:
    """Adds up scalars on their device, so that nothing waits for it until the means are read."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    def add(self, **terms: Tensor) -> None:
        """Add one value of each scalar."""
        for name, value in terms.items():
            self.sums[name] = self.sums.get(name, 0.0) + value.detach().float()
            self.counts[name] = self.counts.get(name, 0) + 1

    def read(self) -> dict[str, float]:
        """Return the mean of every scalar since the last reading, and start anew."""
        means = {name: (total / self.counts[name]).item() for name, total in self.sums.items()}
        self.sums, self.counts = {}, {}
        return means

    def to(self, device: torch.device) -> None:
        """Move the sums to a device."""
        self.sums = {name: total.to(device) for name, total in self.sums.items()}

    def state(self) -> list[Any]:
        """Return the sums and counts of every process, by rank; all processes must call this."""
        sums = {name: total.cpu() for name, total in self.sums.items()}
        return of_all_processes((sums, self.counts))

    def restore(self, state: list[Any], rank: int, processes: int) -> None:
        """Take this process's sums and counts, unless another number of processes saved them."""
        if len(state) == processes:
            self.sums, self.counts = state[rank]
