"""Stopping at the first number that is not finite, with good weights."""

import math
from typing import Any, cast

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lit_synth.errors import InputError
from lit_synth.method import Method


class NaNSentinel(pl.Callback):
    """Stop when a gradient or a tracked term is NaN or infinite, and say which, when and where.

    On the CPU, every gradient is checked before its step; a bad step is not taken, and the run
    stops at the end of the iteration, by when the terms are known. On a GPU a look at every step
    would make it wait, so the checks are collected there and read whenever terms are logged anyway
    (`trainer.log_every_n_steps`) and before a checkpoint is saved: weights may then be lost, but no
    checkpoint ever holds them. With float16 the gradient scaler skips bad steps by itself, and only
    terms are checked.
    """

    def __init__(self) -> None:
        self._checks: list[tuple[int, list[nn.Parameter], Tensor]] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._checks = []

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        if getattr(trainer.precision_plugin, "scaler", None) is not None:
            return
        parameters = [each for group in optimizer.param_groups for each in group["params"]]
        moving = [each for each in parameters if each.grad is not None]
        if not moving:
            return
        # NaN and infinity show in the norms; so do squares that overflow, as they would in Adam.
        norms = torch.stack(torch._foreach_norm([each.grad for each in moving]))
        costs_nothing = _costs_nothing(pl_module.device)
        if costs_nothing and _all_finite(norms):
            return
        self._checks.append((cast("Method", pl_module).iteration, moving, norms))
        if costs_nothing:
            optimizer.zero_grad()  # without gradients, the step changes nothing

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        method = cast("Method", pl_module)
        at_logging = method.iteration % trainer.log_every_n_steps == 0  # type: ignore[attr-defined]
        if _costs_nothing(method.device) or at_logging:
            self._look(method)

    def on_save_checkpoint(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        checkpoint: dict[str, Any],
    ) -> None:
        self._look(cast("Method", pl_module))

    def _look(self, method: Method) -> None:
        """Raise InputError if anything since the last look was not finite."""
        found = [f"the term {name}" for name in _bad_terms(method)]
        iteration = method.iteration
        gradient = self._first_bad_gradient()
        if gradient is not None:
            index, parameter = gradient
            iteration = index + 1
            found.append(f"the gradient of {_name_of(method, parameter)}")
        if found:
            raise InputError(
                f"training diverged at iteration {iteration} (stage '{method.stage.name}'): "
                f"{' and '.join(found)} {'are' if len(found) > 1 else 'is'} not finite; what is "
                "saved is good: go on from it in float32 (--trainer.precision 32-true), or start "
                "anew (--run_id NEW) with a lower learning rate."
            )

    def _first_bad_gradient(self) -> tuple[int, nn.Parameter] | None:
        checks, self._checks = self._checks, []
        if not checks:
            return None
        # One transfer for all of them.
        finite = torch.isfinite(torch.cat([norms for _, _, norms in checks])).tolist()
        owners = [(index, each) for index, parameters, _ in checks for each in parameters]
        return next((owner for owner, ok in zip(owners, finite, strict=True) if not ok), None)


def _costs_nothing(device: torch.device) -> bool:
    """Tell whether a look at a number makes the device wait for nobody."""
    return device.type == "cpu"


def _all_finite(values: Tensor) -> bool:
    """Tell whether all values are finite; mostly their sum, one number, says so."""
    return math.isfinite(values.sum().item()) or bool(torch.isfinite(values).all())


def _bad_terms(method: Method) -> list[str]:
    sums = method.means.sums
    if not sums or _all_finite(values := torch.stack(list(sums.values()))):
        return []
    finite = torch.isfinite(values).tolist()
    return [name for name, ok in zip(sums, finite, strict=True) if not ok]


def _name_of(method: Method, parameter: nn.Parameter) -> str:
    return next(name for name, each in method.named_parameters() if each is parameter)
