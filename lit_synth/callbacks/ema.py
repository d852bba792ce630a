"""Exponential moving average of a generator's weights, counted in images (arXiv:2006.06676)."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from lit_synth.callbacks.trainer_queries import callback_of, images_per_iteration
from lit_synth.contracts.data import Batch
from lit_synth.errors import InputError


class EMA(pl.Callback):
    """After each iteration of B images: average <- 2^(-B/h) average + (1 - 2^(-B/h)) weights.

    h is the half-life, but at most `rampup` times the images seen before, so that the average
    forgets the random initial weights (the rule of StyleGAN2-ADA).

    Only parameters are averaged: buffers, such as the statistics of batch norm, are the live ones.
    Every callback that makes images makes them with the average, and so does `predict`.

    Args:
        networks: Attributes of the method whose weights are averaged.
        half_life_kimg: Thousands of images after which a weight counts half.
        rampup: Share of the images seen before that bounds the half-life; None: no bound.
    """

    def __init__(
        self,
        networks: list[str] = ["generator"],  # noqa: B006  never mutated; jsonargparse shows it in the help
        half_life_kimg: float = 10.0,
        rampup: float | None = 0.05,
    ) -> None:
        if half_life_kimg <= 0:
            raise InputError(f"EMA.half_life_kimg is {half_life_kimg}: expected more than 0.")
        self.networks, self.half_life_kimg, self.rampup = networks, half_life_kimg, rampup
        self.average: dict[str, Tensor] = {}
        self.images_seen = 0
        self._prediction = ExitStack()

    # What is saved, and put back.

    def state_dict(self) -> dict[str, Any]:
        return {"images_seen": self.images_seen, "average": self.average}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        saved, expected = state_dict["average"], self.average
        shapes = [{name: mean.shape for name, mean in of.items()} for of in (saved, expected)]
        if shapes[0] != shapes[1]:
            odd = next(n for n in {**saved, **expected} if shapes[0].get(n) != shapes[1].get(n))
            raise InputError(
                f"the checkpoint's average does not fit EMA.networks = {self.networks}, first at "
                f"'{odd}': give the settings that it was trained with."
            )
        self.average, self.images_seen = saved, state_dict["images_seen"]

    # The average.

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        # First in line, so that the others meet the average of the iteration that they act on.
        callbacks = trainer.callbacks  # type: ignore[attr-defined]  # Lightning sets it elsewhere
        callbacks.insert(0, callbacks.pop(callbacks.index(self)))
        if stage == "fit" or not self.average:
            self.images_seen = 0
            self.average = {
                name: live.detach().to(torch.promote_types(live.dtype, torch.float32), copy=True)
                for name, live in self._weights(pl_module).items()
            }

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Not earlier: a checkpoint is read before the networks are on their device.
        self.average = {name: mean.to(pl_module.device) for name, mean in self.average.items()}

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        images = images_per_iteration(trainer, batch)
        half_life = 1000 * self.half_life_kimg
        if self.rampup is not None:
            half_life = min(half_life, self.rampup * self.images_seen)
        weight = 1 - 0.5 ** (images / max(half_life, 1e-8))
        self.images_seen += images
        average = list(self.average.values())
        live = [
            weights.detach().to(mean.dtype)
            for weights, mean in zip(self._weights(pl_module).values(), average, strict=True)
        ]
        torch._foreach_lerp_(average, live, weight)

    @contextmanager
    def applied(self, module: pl.LightningModule) -> Iterator[None]:
        """Have the networks hold the average; afterwards they have their own weights back."""
        weights: list[Tensor] = list(self._weights(module).values())
        with torch.no_grad():
            own = [live.detach().clone() for live in weights]
            torch._foreach_copy_(weights, list(self.average.values()))
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(weights, own)

    def _weights(self, module: pl.LightningModule) -> dict[str, nn.Parameter]:
        weights: dict[str, nn.Parameter] = {}
        children = dict(module.named_children())
        for name in self.networks:
            if name not in children:
                names = ", ".join(children)
                raise InputError(f"EMA.networks names '{name}', but the networks are: {names}.")
            weights |= {f"{name}.{key}": live for key, live in children[name].named_parameters()}
        return weights

    # `predict` calls the method's own generate.

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._prediction.enter_context(self.applied(pl_module))

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._prediction.close()

    def on_exception(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        exception: BaseException,
    ) -> None:
        self._prediction.close()


@contextmanager
def averaged_weights(trainer: pl.Trainer, module: pl.LightningModule) -> Iterator[None]:
    """Have the module in eval mode and with averaged weights, if the run averages any."""
    modes = {part: part.training for part in module.modules()}
    ema = callback_of(trainer, EMA)
    module.eval()
    try:
        with ema.applied(module) if ema else nullcontext():
            yield
    finally:
        for part, mode in modes.items():
            part.training = mode
