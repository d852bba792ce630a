"""The file `metrics.csv`: a row per iteration, written as it is logged, read as curves."""

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_fabric.utilities.rank_zero import rank_zero_only
from pytorch_lightning.loggers import Logger
from torch import Tensor

from lit_synth.runs.files import write_atomically
from lit_synth.runs.telling import warn

METRICS_FILE = "metrics.csv"
KEY = "iteration"


class CSVLogger(Logger):
    """Write `metrics.csv`: a row per iteration, a column per metric in order of appearance.

    Values are written so that reading them gives the same number back. The file is a pure function
    of what was logged: a run that was killed and went on has, byte for byte, the file of one that
    was not.

    Args:
        save_dir: The run's folder.

    Attributes:
        rows: How many rows the file holds, once it has been looked at.
    """

    def __init__(self, save_dir: str) -> None:
        super().__init__()
        self.path = Path(save_dir) / METRICS_FILE
        # The row being collected, and what the file holds; None until it has been looked at.
        self._iteration = 0
        self._row: dict[str, str] = {}
        self._columns: list[str] | None = None
        self._last = -1
        self.rows = 0

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
    def rewind(self, iteration: int | None, rows: int | None = None) -> None:
        """Forget the rows after `iteration`, or all rows if it is None.

        Args:
            iteration: The one to go on from.
            rows: How many the file had then; the user is told if it has fewer. None: unknown.
        """
        _, found = self._read()
        kept = {i: row for i, row in found.items() if iteration is not None and i <= iteration}
        if rows is not None and len(kept) < rows:
            warn(
                f"{self.path} has lost {rows - len(kept)} of the {rows} rows up to iteration "
                f"{iteration}: the run goes on without them."
            )
        self._write(kept)

    def _write_row(self) -> None:
        if not self._row:
            return
        if self._columns is None:
            self._columns, rows = self._read()
            self._last, self.rows = max(rows, default=-1), len(rows)
        if self._iteration > self._last and self._row.keys() <= set(self._columns):
            with self.path.open("a") as file:
                file.write(_line([str(self._iteration), *map(self._row.get, self._columns)]))
            self._last, self.rows = self._iteration, self.rows + 1
        else:
            _, rows = self._read()
            rows[self._iteration] = rows.get(self._iteration, {}) | self._row
            self._write(rows)
        self._row = {}

    def _read(self) -> tuple[list[str], dict[int, dict[str, str]]]:
        """Return the columns and the rows by iteration; damaged rows are left out."""
        if not self.path.exists():
            return [], {}
        try:
            with self.path.open(newline="", errors="replace") as file:
                header, *lines = list(csv.reader(file)) or [[KEY]]
        except csv.Error:
            return [], {}
        columns = header[1:]
        whole = [line for line in lines if len(line) == len(header) and line[0].isdecimal()]
        rows = {
            int(line[0]): {name: text for name, text in zip(columns, line[1:], strict=True) if text}
            for line in whole
        }
        return (columns, rows) if header[:1] == [KEY] else ([], {})

    def _write(self, rows: dict[int, dict[str, str]]) -> None:
        """Replace the file; its columns are those that have a value, in order of appearance."""
        rows = dict(sorted(rows.items()))
        columns = list(dict.fromkeys(name for row in rows.values() for name in row))
        lines = [_line([str(i), *map(row.get, columns)]) for i, row in rows.items()]
        text = _line([KEY, *columns]) + "".join(lines)
        write_atomically(self.path, text.encode())
        self._columns, self._last, self.rows = columns, max(rows, default=-1), len(rows)


def _text(value: float | Tensor) -> str:
    number = value.item() if isinstance(value, Tensor) else value
    return repr(int(number)) if isinstance(number, int) else repr(float(number))


def _line(fields: list[str | None]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(fields)
    return text.getvalue()


Curves = dict[str, list[tuple[int, float]]]


def read_curves(path: Path) -> Curves:
    """Read a run's `metrics.csv`: column -> (iteration, value) pairs."""
    curves: Curves = {}
    if not path.is_file():
        return curves
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            iteration = int(row.pop(KEY))
            for name, value in row.items():
                if value and "/" in name:
                    curves.setdefault(name, []).append((iteration, float(value)))
    return curves
