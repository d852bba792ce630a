"""Where numbers go: `metrics.csv` and TensorBoard always, Weights & Biases on request."""

import csv
import io
import netrc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning_fabric.utilities.rank_zero import rank_zero_only
from pytorch_lightning.loggers import Logger
from torch import Tensor

from lit_synth import runs

FILE = "metrics.csv"
KEY = "iteration"


class CSVLogger(Logger):
    """Write `metrics.csv`: a row per iteration, a column per metric in order of appearance.

    Values are written so that reading them gives the same number back. The file is a pure function
    of what was logged: a run that was killed and went on has, byte for byte, the file of one that
    was not.

    Args:
        save_dir: The run's folder.
    """

    def __init__(self, save_dir: str) -> None:
        super().__init__()
        self.path = Path(save_dir) / FILE
        # The row being collected, and what the file holds; None until it has been looked at.
        self._iteration = 0
        self._row: dict[str, str] = {}
        self._columns: list[str] | None = None
        self._last = -1

    @property
    def name(self) -> str:
        return "csv"

    @property
    def version(self) -> str:
        return ""

    @property
    def save_dir(self) -> str:
        return str(self.path.parent)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float | Tensor], step: int | None = None) -> None:
        """Add values to the row of iteration `step`, or of the latest one."""
        if step is not None and step != self._iteration:
            self._write_row()
            self._iteration = step
        self._row |= {name: _text(value) for name, value in metrics.items()}

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the run's settings are in `config.yaml`."""

    @rank_zero_only
    def save(self) -> None:
        """Write what was logged so far, down to the disk."""
        self._write_row()
        if self.path.exists():
            with self.path.open("a") as file:
                os.fsync(file.fileno())

    @rank_zero_only
    def finalize(self, status: str) -> None:  # noqa: ARG002
        self._write_row()

    @rank_zero_only
    def rewind(self, iteration: int | None) -> None:
        """Forget the rows after `iteration`, or all rows if it is None."""
        _, rows = self._read()
        kept = {i: row for i, row in rows.items() if iteration is not None and i <= iteration}
        self._write(kept)

    def _write_row(self) -> None:
        if not self._row:
            return
        if self._columns is None:
            self._columns, rows = self._read()
            self._last = max(rows, default=-1)
        if self._iteration > self._last and self._row.keys() <= set(self._columns):
            with self.path.open("a") as file:
                file.write(_line([str(self._iteration), *map(self._row.get, self._columns)]))
            self._last = self._iteration
        else:
            _, rows = self._read()
            rows[self._iteration] = rows.get(self._iteration, {}) | self._row
            self._write(rows)
        self._row = {}

    def _read(self) -> tuple[list[str], dict[int, dict[str, str]]]:
        """Return the columns and the rows by iteration; a row cut short by a crash is left out."""
        if not self.path.exists():
            return [], {}
        with self.path.open(newline="") as file:
            header, *lines = list(csv.reader(file)) or [[KEY]]
        columns = header[1:]
        rows = {
            int(line[0]): {name: text for name, text in zip(columns, line[1:], strict=True) if text}
            for line in lines
            if len(line) == len(header)
        }
        return columns, rows

    def _write(self, rows: dict[int, dict[str, str]]) -> None:
        """Replace the file; its columns are those that have a value, in order of appearance."""
        rows = dict(sorted(rows.items()))
        columns = list(dict.fromkeys(name for row in rows.values() for name in row))
        lines = [_line([str(i), *map(row.get, columns)]) for i, row in rows.items()]
        text = _line([KEY, *columns]) + "".join(lines)
        runs.write_atomically(self.path, text.encode())
        self._columns, self._last = columns, max(rows, default=-1)


def _text(value: float | Tensor) -> str:
    number = value.item() if isinstance(value, Tensor) else value
    return repr(int(number)) if isinstance(number, int) else repr(float(number))


def _line(fields: list[str | None]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(fields)
    return text.getvalue()


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
        {"class_path": "lit_synth.loggers.CSVLogger", "init_args": {"save_dir": str(folder)}},
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
        arguments["id"] = arguments.get("id") or runs.wandb_id(folder)
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
