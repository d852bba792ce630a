"""How far a critic has learned its training images by heart: held-out ones against them."""

from typing import Any, Protocol, cast, runtime_checkable

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from lit_synth.callbacks.trainer_queries import check_period, data_of, due
from lit_synth.contracts.data import split_of
from lit_synth.errors import InputError
from lit_synth.inference.ask import draw
from lit_synth.losses.games import Game
from lit_synth.method import Method


@runtime_checkable
class PlaysGame(Protocol):
    """A method whose critic and generator play a game."""

    critic: nn.Module
    game: Game


class Overfitting(pl.Callback):
    """Log `seen_real` and `held_out_real`: the shares of images that the critic takes for real.

    They are of training and of validation images, none of them augmented. Where the first stays
    near 1 and the second falls, the critic tells images by heart: what the generator then learns
    from it is to copy. The progress bar, `metrics.csv` and the report, which gives advice, have
    them beside `r_t`.

    Args:
        every_n_iterations: How often.
        n: Images of each kind, at most.
        batch_size: Images that the critic judges at once.
        seed: Seeds the latents of the generated images, for games in which 0 means nothing.
    """

    def __init__(
        self, every_n_iterations: int = 100, n: int = 128, batch_size: int = 32, seed: int = 0
    ) -> None:
        check_period("Overfitting.every_n_iterations", every_n_iterations)
        for name, number in (("n", n), ("batch_size", batch_size)):
            if number < 1:
                raise InputError(f"Overfitting.{name} is {number}: expected at least 1.")
        self.every_n_iterations, self.n = every_n_iterations, n
        self.batch_size, self.seed = batch_size, seed
        self._images: dict[str, Tensor] = {}

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        # Before the callbacks that log what is tracked.
        callbacks = trainer.callbacks  # type: ignore[attr-defined]  # Lightning sets it elsewhere
        callbacks.insert(0, callbacks.pop(callbacks.index(self)))
        if stage != "fit":
            return
        if not isinstance(pl_module, PlaysGame):
            raise InputError(
                f"Overfitting gauges a critic that plays a game, and {type(pl_module).__name__} "
                "has none: leave it out of trainer.callbacks."
            )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for name in ("train", "val"):
            images = split_of(data_of(trainer), name)
            kept = min(self.n, len(images))
            spread = [position * len(images) // kept for position in range(kept)]
            self._images[name] = images.fetch(spread)["image"]

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        method = cast("Method", pl_module)
        if not due(self.every_n_iterations, method):
            return
        assert isinstance(method, PlaysGame), "seen to at setup"
        prior = method.prior(len(self._images["train"]), torch.Generator().manual_seed(self.seed))
        fake = self._scores(method.critic, draw(method, prior).to(method.device))
        seen, held_out = (
            self._scores(method.critic, self._images[name].to(method.device))
            for name in ("train", "val")
        )
        boundary = method.game.boundary(seen, fake)
        method.track(
            seen_real=(seen > boundary).float().mean(),
            held_out_real=(held_out > boundary).float().mean(),
        )

    def _scores(self, critic: nn.Module, images: Tensor) -> Tensor:
        return torch.cat([critic(batch) for batch in torch.split(images, self.batch_size)]).float()
