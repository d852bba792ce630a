"""When a method is measured: in training and by the verbs `validate` and `test`."""

from pathlib import Path
from typing import Any, Literal, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.states import TrainerFn

from lit_synth.callbacks.ema import EMA, averaged_weights
from lit_synth.callbacks.trainer_queries import callback_of, check_period, data_of, due
from lit_synth.contracts.classifier import Classifier
from lit_synth.evaluation.choose import Evaluation, choose_evaluation
from lit_synth.evaluation.settings import EvaluationSettings
from lit_synth.method import Method
from lit_synth.metrics.card import write_card
from lit_synth.reports import screen
from lit_synth.runs.files import writing

CLASS = "/iou_"  # begins a metric of a single class of labels


class Evaluate(pl.Callback):
    """Compare what the method makes with held-out data; every number goes with its card.

    In `fit`, at regular iterations: the metrics are logged as `<split>/<name>` and written to
    `cards/<split>-<iteration>.json`. `validate` measures the same on the checkpoint given. `test`
    measures everything on the test split, to `cards/test.json`.

    The method makes images with averaged weights, if the run averages any, in float32, and from
    random numbers of their own. What is measured depends on what the method does: it generates,
    translates (see docs/evaluating-translations.md) or classifies.

    Args:
        every_n_iterations: How often, and at the last iteration; None: never.
        split: Real data that are compared with, but by `test`.
        settings: What is measured, as in `EvaluationSettings`.

    Attributes:
        latest: Metric -> value, as last measured.
        iteration: Iteration at which that was; None: not yet.
    """

    def __init__(
        self,
        every_n_iterations: int | None = 1000,
        split: Literal["train", "val", "test"] = "val",
        **settings: Any,
    ) -> None:
        check_period("evaluate.every_n_iterations", every_n_iterations)
        self.every_n_iterations, self.split = every_n_iterations, split
        self.settings = EvaluationSettings(**settings)
        self.latest: dict[str, float] = {}
        self.iteration: int | None = None
        self._evaluation: Evaluation | None = None
        self._trained = 0

    def on_load_checkpoint(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        checkpoint: dict[str, Any],
    ) -> None:
        self._trained = checkpoint.get("iteration", 0)

    def state_dict(self) -> dict[str, Any]:
        return {"latest": self.latest, "iteration": self.iteration}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.latest, self.iteration = state_dict["latest"], state_dict["iteration"]

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._evaluation = None  # it may have been of other data

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # What cannot be measured is to be known now, not after the first thousand iterations.
        if self.every_n_iterations is not None and trainer.is_global_zero:
            self._of(trainer, cast("Method", pl_module)).prepare(self.split)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        method = cast("Method", pl_module)
        if not due(self.every_n_iterations, method):
            return
        iteration, split = method.iteration, self.split
        self._measure(trainer, method, split, iteration, f"{split}-{iteration:08d}")
        for logger in trainer.loggers:
            logger.log_metrics(_logged(self.latest, split), step=iteration)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn == TrainerFn.VALIDATING:
            self._verb(trainer, cast("Method", pl_module), self.split)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._verb(trainer, cast("Method", pl_module), "test")

    def _verb(self, trainer: pl.Trainer, method: Method, split: str) -> None:
        self._measure(trainer, method, split, max(self._trained, method.iteration), split)

    def _measure(
        self, trainer: pl.Trainer, method: Method, split: str, iteration: int, card_name: str
    ) -> None:
        """Measure on the first process and write a card; all processes take note of the values."""
        values: dict[str, float] = {}
        if trainer.is_global_zero:
            fitting = trainer.state.fn == TrainerFn.FITTING
            testing = trainer.state.fn == TrainerFn.TESTING
            last = not fitting or iteration == method.total_iterations
            # The test verbs run in inference mode, in which no classifier could be trained.
            with torch.inference_mode(False), torch.no_grad():
                evaluation = self._of(trainer, method)
                evaluation.prepare(split)
                with averaged_weights(trainer, method):
                    values = evaluation.measure(split, testing, last)
                card = evaluation.card(split, _origin(trainer, iteration))
            path = Path(trainer.default_root_dir) / "cards" / f"{card_name}.json"
            with writing(path.parent):
                write_card(path, card, values)
            if not fitting:
                print(*screen.lines(values, card, str(path)), sep="\n")
        self.latest, self.iteration = trainer.strategy.broadcast(values), iteration
        if isinstance(method, Classifier):
            method.measured(self.latest)

    def _of(self, trainer: pl.Trainer, method: Method) -> Evaluation:
        """Return what measures the method, made once."""
        if self._evaluation is None:
            self._evaluation = choose_evaluation(method, data_of(trainer), self.settings)
        return self._evaluation


def _origin(trainer: pl.Trainer, iteration: int) -> str:
    weights = "own" if callback_of(trainer, EMA) is None else "averaged"
    return f"Iteration {iteration}, the networks' {weights} weights."


def _logged(values: dict[str, float], split: str) -> dict[str, float]:
    """Name what goes to the loggers; a value for each class of labels goes on the card alone."""
    return {f"{split}/{name}": value for name, value in values.items() if CLASS not in name}
