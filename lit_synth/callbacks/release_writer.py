"""A release of the networks at the end of training."""

import textwrap
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
from lightning_utilities.core.rank_zero import rank_zero_warn

from lit_synth.callbacks.ema import EMA, averaged_weights
from lit_synth.callbacks.evaluate import Evaluate
from lit_synth.callbacks.trainer_queries import callback_of, data_of
from lit_synth.errors import InputError
from lit_synth.method import Method
from lit_synth.metrics.card import read_card
from lit_synth.networks.parts.rebuilding import spec_of
from lit_synth.releases.format import find_release, save_release
from lit_synth.reports import model_card
from lit_synth.runs import prepared
from lit_synth.runs.files import writing
from lit_synth.runs.settings import CONFIG

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
            settings, made_from = method_settings(method, Path(trainer.default_root_dir))
            text = card(trainer, method) + cards_of(made_from)
            samples = Path(trainer.default_root_dir) / "samples"
            text = model_card.completed(text, method, data_of(trainer), samples, folder)
            save_release(folder, networks, text, extra, settings)


def method_settings(method: Method, run: Path) -> tuple[dict[str, Any] | None, list[Path]]:
    """Return what builds a run's method from its release, and the releases that it was made from.

    Args:
        method: As the run trained it.
        run: Its folder; without a config.yaml of the method there, nobody knows its settings.
    """
    if not (run / CONFIG).is_file():
        return None, []
    model = prepared.resolved(run)["model"]
    if model["class_path"].rpartition(".")[2] != type(method).__name__:
        return None, []
    given, own = model.get("init_args", {}), method.released_settings()
    made_from = [folder for name in own for folder in releases_in(given.get(name))]
    init_args = {**given, **own}
    class_path = f"{type(method).__module__}.{type(method).__qualname__}"
    return {"class_path": class_path, "init_args": _recorded(init_args, method)}, made_from


def releases_in(settings: Any) -> list[Path]:
    """Return the folders of the releases that settings name."""
    if isinstance(settings, dict | list):
        values = settings.values() if isinstance(settings, dict) else settings
        return [folder for value in values for folder in releases_in(value)]
    try:
        return [find_release(settings)] if isinstance(settings, str) else []
    except InputError:
        return []


def _recorded(settings: Any, method: Method) -> Any:
    """Return settings whose networks are built as those of the method record it.

    They differ where a network starts from weights of elsewhere, which its release has itself.
    """
    if isinstance(settings, list):
        return [_recorded(each, method) for each in settings]
    if not isinstance(settings, dict):
        return settings
    if settings.keys() == {"class_path", "init_args"}:
        name, given = settings["class_path"].rpartition(".")[2], settings["init_args"]
        for network in method.modules():
            kept = vars(network).get("init_args")
            if type(network).__name__ == name and kept is not None and _is_like(given, kept):
                return spec_of(network)
    return {key: _recorded(each, method) for key, each in settings.items()}


def _is_like(given: dict[str, Any], kept: dict[str, Any]) -> bool:
    return given.keys() <= kept.keys() and all(kept[k] in (given[k], None) for k in given)


def cards_of(releases: list[Path]) -> str:
    """Return Markdown that quotes the cards of releases: what they are, their licences."""
    cards = [folder / "card.md" for folder in dict.fromkeys(releases)]
    texts = [card.read_text().strip() for card in cards if card.is_file()]
    quoted = [textwrap.indent(text, "> ", lambda _: True) for text in texts]
    return "\n\n".join(["\n## Made from", *quoted]) + "\n" if texts else ""


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
