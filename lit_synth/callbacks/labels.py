"""Labels of a run: those of its data, its checkpoints and its method are the same."""

from typing import Any

import pytorch_lightning as pl

from lit_synth.batches.labels import HasLabels, check_checkpoint, check_data, save_labels


class Labels(pl.Callback):
    """Refuse data and checkpoints whose labels are not those of a method that has labels."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if isinstance(pl_module, HasLabels):
            check_data(pl_module, getattr(trainer, "datamodule", None))

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if isinstance(pl_module, HasLabels):
            save_labels(pl_module, checkpoint)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if isinstance(pl_module, HasLabels):
            check_checkpoint(pl_module, checkpoint)
