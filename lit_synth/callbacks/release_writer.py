"""A release of the networks at the end of training."""

from pathlib import Path
from typing import cast

import pytorch_lightning as pl
from lightning_utilities.core.rank_zero import rank_zero_warn

from lit_synth.callbacks.ema import EMA, averaged_weights
from lit_synth.callbacks.evaluate import Evaluate
from lit_synth.callbacks.trainer_queries import callback_of, described_data
from lit_synth.method import Method
from lit_synth.metrics.card import read_card
from lit_synth.releases.format import save_release
from lit_synth.reports import model_card
from lit_synth.runs.files import writing

FOLDER = "release"


class ReleaseWriter(pl.Callback):
    """Write `release/` when training ends: the networks with averaged weights, where there are any.

    Its `card.md` says how they came about and, with their cards, what was measured of them.
    """

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        method = cast("Method", pl_module)
        folder = Path(trainer.default_root_dir) / FOLDER
        with writing(folder), averaged_weights(trainer, method):
            networks, extra = method.release()
            if unknown := [name for name, net in networks.items() if not hasattr(net, "init_args")]:
                rank_zero_warn(
                    f"no release is written: '{unknown[0]}' does not know how it was built; "
                    "decorate its constructor with lit_synth.networks.recording.records_init_args."
                )
                return
            save_release(folder, networks, card(trainer, method), extra)
            _complete_card(trainer, method, folder)


def _complete_card(trainer: pl.Trainer, method: Method, folder: Path) -> None:
    path, samples = folder / "card.md", Path(trainer.default_root_dir) / "samples"
    data = described_data(trainer)
    path.write_text(model_card.completed(path.read_text(), method, data, samples, folder))


def card(trainer: pl.Trainer, method: Method) -> str:
    """Return the Markdown that goes with the release of a run."""
    run = Path(trainer.default_root_dir)
    ema = callback_of(trainer, EMA)
    averaged = (
        "the weights at the end of training"
        if ema is None
        else f"an average over training of {', '.join(ema.networks)} (half-life "
        f"{ema.half_life_kimg:g} thousand images), all else as at the end"
    )
    stages = [
        f"- {stage.name}: {stage.iterations} iterations"
        + (f", {', '.join(stage.freeze)} frozen" if stage.freeze else "")
        for stage in method.stages
    ]
    return "\n".join(
        [
            f"# {type(method).__name__}: {run.parent.name}/{run.name}",
            "",
            f"Networks trained for {method.total_iterations} iterations; the weights are "
            f"{averaged}.",
            "",
            *stages,
            "",
            *_measured(trainer, run),
            "All settings of the run are in its `config.yaml`.",
            "",
        ]
    )


def _measured(trainer: pl.Trainer, run: Path) -> list[str]:
    evaluate = callback_of(trainer, Evaluate)
    if evaluate is None or evaluate.iteration is None:
        return []
    measured, values = read_card(run / "cards" / f"{evaluate.split}-{evaluate.iteration:08d}.json")
    return [
        f"## Measured at iteration {evaluate.iteration}",
        "",
        *model_card.measured(values),
        "",
        *(f"    {line}" for line in measured.lines()),
        "",
    ]
