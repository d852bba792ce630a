"""The run on one page: curves, pictures, numbers with their cards, settings."""

from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl

from lit_synth.callbacks.checkpoint import Checkpoint
from lit_synth.callbacks.evaluate import Evaluate
from lit_synth.callbacks.trainer_queries import callback_of, data_of
from lit_synth.contracts.data import HasSplits, split_of, standing, translation_data
from lit_synth.contracts.translator import Translator
from lit_synth.method import Method
from lit_synth.reports.run import FILE, render
from lit_synth.runs.files import write_atomically, writing
from lit_synth.runs.metrics_csv import CSVLogger


class Report(pl.Callback):
    """Write `report.html` into the run folder: after each evaluation, at the end, and after tests.

    It is one file that needs no other, and reads on a telephone too. All of it comes from what is
    in the run folder, so a resumed run's report covers the whole run.
    """

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        evaluate, method = callback_of(trainer, Evaluate), cast("Method", pl_module)
        if evaluate is not None and evaluate.iteration == method.iteration:
            self._write(trainer, method)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._write(trainer, cast("Method", pl_module))

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._write(trainer, cast("Method", pl_module))

    def _write(self, trainer: pl.Trainer, method: Method) -> None:
        if not trainer.is_global_zero:
            return
        for logger in trainer.loggers:
            if isinstance(logger, CSVLogger):
                logger.save()
        checkpoint = callback_of(trainer, Checkpoint)
        evaluate = callback_of(trainer, Evaluate)
        best = None
        if checkpoint and evaluate and checkpoint.best:
            best = (f"{evaluate.split}/{checkpoint.best}", checkpoint.mode)
        translations = None
        if isinstance(method, Translator):
            data = translation_data(data_of(trainer))
            translations = {way: standing(data, way) for way in method.translations()}
        own = data_of(trainer)
        known = isinstance(own, HasSplits) and own.has_split("train")
        images = len(split_of(own, "train")) if known else None
        folder = Path(trainer.default_root_dir)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            page = render(folder, method, best, translations, images)
            write_atomically(folder / FILE, page.encode())
