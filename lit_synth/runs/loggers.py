"""Where numbers go: `metrics.csv` and TensorBoard always, Weights & Biases on request."""

import netrc
import os
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from jsonargparse import Namespace
from lightning_fabric.utilities.rank_zero import rank_zero_only
from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger
from torch import Tensor

from lit_synth.runs.environment import wandb_id
from lit_synth.runs.settings import CONFIG, flattened, settings_of

Settings: TypeAlias = Mapping[str, Any]


def configure(setting: Any, folder: Path) -> list[dict[str, Any]]:
    """Return the loggers of a run as class paths and arguments.

    Args:
        setting: The value of `trainer.logger`: None or True for the default, False for none, or
            loggers to have besides, each as a class path with arguments.
        folder: The run's folder: everything is saved under it.
    """
    if setting is False:
        return []
    asked = setting if isinstance(setting, list) else [setting]
    extra = [_placed(_plain(each), folder) for each in asked if each not in (None, True)]
    default = [
        {
            "class_path": "lit_synth.runs.metrics_csv.CSVLogger",
            "init_args": {"save_dir": str(folder)},
        },
        {
            "class_path": "pytorch_lightning.loggers.TensorBoardLogger",
            "init_args": {"save_dir": str(folder), "name": "tensorboard", "version": ""},
        },
    ]
    given = {each["class_path"] for each in extra}
    return [each for each in default if each["class_path"] not in given] + extra


@rank_zero_only
def log_settings(loggers: Iterable[Logger], folder: Path) -> None:
    """Give the loggers all settings of the run in `folder`, if it has any written down.

    Weights & Biases gets them as its configuration, by dotted names; TensorBoard as the text of
    `config.yaml` and as hyperparameters, beside the metrics that the run is judged by.
    """
    if not (folder / CONFIG).is_file():
        return
    settings = settings_of(folder)
    flat = flattened(settings)
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.experiment.config.update(flat, allow_val_change=True)
        elif isinstance(logger, TensorBoardLogger):
            _to_tensorboard(logger, settings, flat, (folder / CONFIG).read_text())


def log_picture(
    loggers: Iterable[Logger], name: str, pixels: Tensor, file: bytes, iteration: int
) -> None:
    """Send a picture to the loggers that show pictures.

    Args:
        loggers: The run's.
        name: What the picture is called.
        pixels: RGB, (3, H, W), uint8.
        file: The same as a PNG file.
        iteration: That the picture shows.
    """
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            from tensorboard.compat.proto.summary_pb2 import Summary  # takes a second to import

            channels, height, width = pixels.shape
            # Not by `add_image`, which makes another file of the pixels, slowly.
            image = Summary.Image(
                height=height, width=width, colorspace=channels, encoded_image_string=file
            )
            summary = Summary(value=[Summary.Value(tag=name, image=image)])
            logger.experiment._get_file_writer().add_summary(summary, iteration)
        elif isinstance(logger, WandbLogger):
            logger.log_image(name, [pixels.permute(1, 2, 0).numpy()], step=iteration)


def _to_tensorboard(
    logger: TensorBoardLogger, settings: Settings, flat: Settings, text: str
) -> None:
    from torch.utils.tensorboard.summary import hparams  # takes a second to import

    logger.experiment.add_text("config", textwrap.indent(text, 4 * " "))  # as code in Markdown
    shown = {k: v if isinstance(v, bool | int | float | str) else str(v) for k, v in flat.items()}
    # Not by Lightning's method of this name, which logs a metric of its own, -1.
    writer = logger.experiment._get_file_writer()
    metrics = dict.fromkeys(_judged_by(settings), 0.0)
    for summary in hparams(shown, metrics):  # type: ignore[no-untyped-call]  # of torch
        writer.add_summary(summary)


def _judged_by(settings: Settings) -> list[str]:
    """Return the logged names of the metrics that are measured or choose the best checkpoint."""
    evaluate, checkpoint = (settings.get(part) or {} for part in ("evaluate", "checkpoint"))
    names = [checkpoint.get("best"), *(evaluate.get("metrics") or [])]
    split = evaluate.get("split", "val")
    return list(dict.fromkeys(f"{split}/{name}" for name in names if name))


def _plain(logger: Any) -> dict[str, Any]:
    return logger.as_dict() if isinstance(logger, Namespace) else dict(logger)


def _placed(logger: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a logger's description with the run's folder and, for wandb, the run's own id."""
    arguments = logger.get("init_args", {}) | {"save_dir": str(folder)}
    if logger["class_path"].endswith(".WandbLogger"):
        arguments["id"] = arguments.get("id") or wandb_id(folder)
        arguments["name"] = arguments.get("name") or f"{folder.parent.name}/{folder.name}"
        arguments["project"] = arguments.get("project") or os.environ.get(
            "WANDB_PROJECT", "lit-synth"
        )
        arguments["resume"] = arguments.get("resume") or "allow"
        arguments["offline"] = arguments.get("offline") or not _has_wandb_key()
    return {"class_path": logger["class_path"], "init_args": arguments}


def _has_wandb_key() -> bool:
    if "WANDB_API_KEY" in os.environ:
        return True
    try:
        return any("wandb" in host for host in netrc.netrc(Path.home() / ".netrc").hosts)
    except (OSError, netrc.NetrcParseError):
        return False
