"""Endless training data: draw k is a pure function of (seed, k)."""

import signal
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Protocol

import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from datamodules.errors import DataError
from datamodules.items.splits import Batch, Split

Drawn = Batch | dict[str, Batch]  # of one set, or of several by name
Augment = Callable[[Batch, Sequence[int]], Batch]
_ORDER, _AUGMENTATION = 0, 1  # what a seed is spent on


class Draws(Protocol):
    """Anything that gives the draws [k, k + n) of an endless stream as one batch."""

    def fetch(self, draws: range) -> Drawn:
        """Return the batch of these draws."""


class Stream:
    """Passes over a split, each in its own seeded order.

    Draw k is image `order(pass k // N)[k % N]`, augmented with a seed of its own.

    Args:
        split: The images.
        seed: Of the orders and the augmentation.
        augment: Maps a batch and one seed per image to the augmented batch.
    """

    def __init__(self, split: Split, seed: int, augment: Augment | None = None) -> None:
        if len(split) == 0:
            raise DataError("The training split has no images; give it at least one.")
        if seed < 0:
            raise DataError(f"The seed of the training data is {seed}; give 0 or more.")
        self.split, self.seed, self.augment = split, seed, augment
        self._orders: dict[int, np.ndarray] = {}

    def positions(self, draws: range) -> list[int]:
        """Return the positions in the split of consecutive draws."""
        size = len(self.split)
        passes = range(draws[0] // size, draws[-1] // size + 1)
        # Only the orders in use are kept: at most two where a batch is smaller than the split.
        self._orders = {p: self._orders[p] if p in self._orders else self._order(p) for p in passes}
        within = np.asarray(draws) - passes[0] * size
        return np.concatenate(list(self._orders.values()))[within].tolist()

    def fetch(self, draws: range) -> Batch:
        """Return the batch of consecutive draws."""
        batch = self.split.fetch(self.positions(draws))
        if self.augment is None:
            return batch
        return self.augment(batch, [self._augmentation_seed(k) for k in draws])

    def _order(self, visit: int) -> np.ndarray:
        return np.random.default_rng([self.seed, _ORDER, visit]).permutation(len(self.split))

    def _augmentation_seed(self, k: int) -> int:
        return int(np.random.SeedSequence([self.seed, _AUGMENTATION, k]).generate_state(1)[0])


class _Batches(IterableDataset[Drawn]):
    """Batches `start`, `start` + 1, ... of one process, dealt to its workers in turn.

    Iterable, not map-style, so that Lightning leaves the division among processes to us.
    """

    def __init__(self, stream: Draws, batch_size: int, rank: int, world_size: int) -> None:
        self.stream, self.batch_size = stream, batch_size
        self.rank, self.world_size = rank, world_size
        self.start = 0

    def __iter__(self) -> Iterator[Drawn]:
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for iteration in count(self.start + first, step):
            k = (iteration * self.world_size + self.rank) * self.batch_size
            yield self.stream.fetch(range(k, k + self.batch_size))


def _leave_signals_to_the_main_process(worker: int) -> None:  # noqa: ARG001
    # SLURM and Ctrl+C signal the whole group; a dead worker would end the run before it has saved.
    for signum in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, signal.SIG_IGN)


class StreamLoader(DataLoader[Drawn]):
    """An endless loader: the global batch b is the draws [b * B * W, (b + 1) * B * W).

    Process `rank` of `world_size` = W takes the `rank`-th slice of B = `batch_size`. What it
    yields is the same for any number of workers, and no global randomness is consumed.

    Args:
        stream: Gives the draws.
        batch_size: Images per batch and process.
        start: Returns the first iteration; asked anew each time that the loader is iterated over,
            so that a second epoch goes on where the first ended.
        rank: This process.
        world_size: Number of processes.
        num_workers: Processes that prepare batches; 0 prepares them in this one.
    """

    def __init__(
        self,
        stream: Draws,
        batch_size: int,
        start: Callable[[], int] = lambda: 0,
        rank: int = 0,
        world_size: int = 1,
        num_workers: int = 0,
    ) -> None:
        if batch_size < 1:
            raise DataError(f"batch_size is {batch_size}; give 1 or more.")
        self.batches = _Batches(stream, batch_size, rank, world_size)
        self.start = start
        super().__init__(
            self.batches,
            batch_size=None,
            num_workers=num_workers,
            generator=torch.Generator().manual_seed(0),
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=_leave_signals_to_the_main_process,
        )

    def __iter__(self) -> Iterator[Drawn]:  # type: ignore[override]
        self.batches.start = self.start()
        return super().__iter__()


def training_loader(
    module: pl.LightningDataModule, stream: Draws, batch_size: int, num_workers: int = 0
) -> StreamLoader:
    """Return the loader of `stream` for the process and the iteration of the module's trainer."""
    trainer = module.trainer
    if trainer is None:
        return StreamLoader(stream, batch_size, num_workers=num_workers)
    progress = trainer.fit_loop.epoch_loop.batch_progress
    return StreamLoader(
        stream,
        batch_size,
        start=lambda: progress.total.processed,  # type: ignore[attr-defined] # typed too widely
        rank=trainer.global_rank,
        world_size=trainer.world_size,
        num_workers=num_workers,
    )


def ordered_loader(split: Split, batch_size: int, num_workers: int = 0) -> DataLoader[Batch]:
    """Return a finite loader of the split in order, which consumes no global randomness."""
    return DataLoader(
        split,
        batch_size=batch_size,
        num_workers=num_workers,
        generator=torch.Generator().manual_seed(0),
        pin_memory=torch.cuda.is_available(),
    )


Nested = dict[str, Batch]


class _Together:
    """The same draws of several streams, by the streams' names."""

    def __init__(self, streams: dict[str, Stream]) -> None:
        self.streams = streams

    def fetch(self, draws: range) -> Nested:
        return {name: stream.fetch(draws) for name, stream in self.streams.items()}
