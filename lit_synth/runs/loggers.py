"""Where numbers go: `metrics.csv` and TensorBoard always, Weights & Biases on request."""

import netrc
import os
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from lit_synth.runs.environment import wandb_id


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
