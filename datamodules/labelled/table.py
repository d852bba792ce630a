"""Labelled images of a folder with a CSV file of attributes."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.files.decoding import Resize
from datamodules.labelled.files import LabelledFiles, Rows, listed

YES_OR_NO = ("no", "yes")

_SPELLINGS = (("-1", "1"), ("0", "1"), ("false", "true"), YES_OR_NO)
_GROUP = "group"

Row = dict[str, str]


class AttributeTable(LabelledFiles):
    """Images of a folder, with a CSV file that has a row for each: file, attributes, maybe a group.

    Values are named as they are in the table, in numerical or else alphabetical order; those of a
    column of 0 and 1, -1 and 1, true and false, or no and yes are no and yes.

    Args:
        root: Folder of the images and of the table.
        image_size: Side in pixels.
        table: Name of the CSV file.
        file: Column of the files' paths, relative to `root`.
        attributes: Columns that are attributes, or column -> its values in order, null for all
            that there are. Rows with values that are not among those given are left out. None: all
            columns but those named elsewhere.
        group: Column of the groups that rows are dealt to; see `LabelledFiles`.
        together: Column, e.g. of a person's name, whose rows of one value fall to one group.
        crop: Side in pixels of the central square that is cut out first; None: no cut.
        resize: `crop` takes the central square of what is left, `stretch` all of it.
        shares: Group -> share of the rows without a group: `{extractor: 0.1, judge0: 0.1, judge1:
            0.1}` where left out.
        seed: Of the order in which rows are dealt; groups don't depend on it.
        in_memory: Whether to decode all images of a part once; `auto` does so up to 1 GiB.
    """

    def __init__(
        self,
        root: str,
        image_size: int,
        table: str = "labels.csv",
        file: str = "file",
        attributes: list[str] | dict[str, list[str] | None] | None = None,
        group: str = _GROUP,
        together: str | None = None,
        crop: int | None = None,
        resize: Resize = "crop",
        shares: dict[str, float] | None = None,
        seed: int = 0,
        in_memory: bool | Literal["auto"] = "auto",
    ) -> None:
        folder = Path(root)
        super().__init__(folder, folder / table, image_size, crop, resize, shares, seed, in_memory)
        self.file, self.group, self.together = file, group, together
        self.wanted = dict.fromkeys(attributes) if isinstance(attributes, list) else attributes

    @property
    def attributes(self) -> Mapping[str, Sequence[str]]:  # type: ignore[override]  # files are read late
        """Name -> names of its values; the table is read only for those that are not given."""
        given = {name: values for name, values in (self.wanted or {}).items() if values}
        return given if given and given == self.wanted else super().attributes

    def read_rows(self) -> Rows:
        rows = read_csv(self.table)
        wanted = self._wanted(list(rows[0]))
        found = {name: _Column.of(self.table, rows, name, each) for name, each in wanted.items()}
        used = [row for row in rows if all(column.has(row) for column in found.values())]
        if not used:
            raise DataError(f"{self.table} has no row whose values are all among those given.")
        files = [row[self.file] for row in used]
        return Rows(
            files,
            {name: column.names for name, column in found.items()},
            {name: column.numbers(used) for name, column in found.items()},
            [row.get(self.group, "") for row in used],
            [row[self.together or self.file] for row in used],
            sorted({row[self.file] for row in rows} - set(files)),
        )

    def _wanted(self, columns: Sequence[str]) -> Mapping[str, list[str] | None]:
        """Return column -> values in order, or None for all, of the attributes."""
        special = [self.file, self.group, *([self.together] if self.together else [])]
        wanted = self.wanted
        if wanted is None:
            wanted = {name: None for name in columns if name not in special}
        needed = [self.file, *wanted, *(n for n in special[1:] if n != _GROUP)]
        lacking = [name for name in needed if name not in columns]
        if lacking:
            raise DataError(
                f"{self.table} has no column {', '.join(lacking)}; its columns are "
                f"{', '.join(columns)}."
            )
        if not wanted:
            raise DataError(f"{self.table} has no column of an attribute; add one.")
        return wanted


@dataclass(frozen=True)
class _Column:
    """How the cells of a column are read.

    Attributes:
        name: Of the attribute.
        names: Of its values.
        number: Cell -> position of its value.
    """

    name: str
    names: Sequence[str]
    number: Mapping[str, int]

    @classmethod
    def of(cls, table: Path, rows: Sequence[Row], name: str, names: list[str] | None) -> "_Column":
        cells = {row[name] for row in rows}
        if "" in cells:
            lacking = [str(number) for number, row in enumerate(rows, 1) if not row[name]]
            raise DataError(f"{table} has no {name} in row {listed(lacking)}; fill it in.")
        if names is None:
            return cls(name, *_natural(cells))
        absent = [value for value in names if value not in cells]
        if absent:
            raise DataError(
                f"{table} has no row of {name} {listed(absent)}; its values are "
                f"{listed(sorted(cells))}."
            )
        return cls(name, names, {value: number for number, value in enumerate(names)})

    def has(self, row: Row) -> bool:
        return row[self.name] in self.number

    def numbers(self, rows: Sequence[Row]) -> Tensor:
        return torch.tensor([self.number[row[self.name]] for row in rows])


def read_csv(path: Path) -> list[Row]:
    """Return the rows of a CSV file, column -> cell; there are some, and all are complete.

    The text is UTF-8, or Latin-1 where it is not.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        text = path.read_text(encoding="latin-1")
    try:
        lines = csv.reader(io.StringIO(text, newline=""))
        columns, *rows = [row for row in lines if row] or [[]]
    except csv.Error as error:
        raise DataError(
            f"{path} is no table ({error}, in line {lines.line_num}); put every quote that is "
            "opened in a pair, and give plain text with commas."
        ) from error
    broken = [str(n) for n, row in enumerate(rows, 1) if len(row) != len(columns)]
    if broken:
        raise DataError(
            f"{path} has {len(columns)} columns and not as many cells in row {listed(broken)}; "
            "correct them, and put cells that hold a comma in quotes."
        )
    if not rows or len(set(columns)) < len(columns):
        raise DataError(f"{path} needs a line of column names, each once, and rows below it.")
    return [dict(zip(columns, (cell.strip() for cell in row), strict=True)) for row in rows]


def _natural(cells: set[str]) -> tuple[Sequence[str], dict[str, int]]:
    """Return the names of a column's values in order, and cell -> position."""
    for no, yes in _SPELLINGS:
        if {cell.lower() for cell in cells} <= {no, yes}:
            return YES_OR_NO, {cell: int(cell.lower() == yes) for cell in cells}
    try:
        names = sorted(cells, key=int)
    except ValueError:
        names = sorted(cells)
    return names, {name: number for number, name in enumerate(names)}
