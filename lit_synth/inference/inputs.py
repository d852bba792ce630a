"""What a method is asked with: priors, and real images for those that translate."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from lit_synth.contracts.data import Batch, Images
from lit_synth.method import Method


def inputs(method: Method, real: Images, prior: Batch, first: int = 0) -> Batch:
    """Return what `generate` may ask for: a prior, and real images for those that translate.

    Args:
        method: Takes them on its device.
        real: Its images `first`, `first` + 1, ... are used, from the start again past the end.
        prior: What `method.prior` drew; it goes before what the real images come with.
        first: Position of the first real image.
    """
    n = len(next(iter(prior.values())))
    batch = {**real.fetch([(first + i) % len(real) for i in range(n)]), **prior}
    return {name: each.to(method.device) for name, each in batch.items()}


class PriorBatches(IterableDataset[dict[str, Tensor]]):
    """Random inputs for `n` images in batches of 100, drawn from `seed`."""

    def __init__(self, method: Method, n: int, seed: int) -> None:
        self.method, self.n, self.seed = method, n, seed

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        rng = torch.Generator().manual_seed(self.seed)
        for start in range(0, self.n, 100):
            yield self.method.prior(min(100, self.n - start), rng)
