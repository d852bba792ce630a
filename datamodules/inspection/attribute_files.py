"""Folders with a table of attributes: CelebA, or a CSV file."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from datamodules.errors import DataError
from datamodules.files.archives import suffix_of
from datamodules.inspection.readings import Folder, Part, Reading, Tree, shortened
from datamodules.labelled.table import Row, read_csv

CELEBA_IMAGES, CELEBA_LISTS = (
    "img_align_celeba",
    ("list_attr_celeba.txt", "list_eval_partition.txt"),
)

_CELEBA = ["Bangs", "Blond_Hair", "Brown_Hair", "Young", "Male"]  # the five of most papers
_GROUP = "group"
_PROPOSED = 3  # attributes
_MOST_VALUES = 10  # of an attribute
_TRIED = 50  # rows, by which the column of the files is found
_HELD_OUT = {"n_val": 200, "n_test": 500}


def read_table(folder: Folder, tree: Tree) -> Reading | None:
    """Return the reading of images with a table, None if there is none that names them."""
    if CELEBA_IMAGES in tree and CELEBA_LISTS[0] in folder.source.skipped:
        return _celeba(folder, tree)
    for table in folder.source.skipped:
        if suffix_of(table) == ".csv" and (reading := _csv(folder, table)):
            return reading
    return None


def _celeba(folder: Folder, tree: Tree) -> Reading:
    lacking = [name for name in CELEBA_LISTS if name not in folder.source.skipped]
    names = (folder.root / CELEBA_LISTS[0]).read_text().splitlines()[1].split()
    wanted = [name for name in _CELEBA if name in names] or names[:_PROPOSED]
    return Reading(
        f"CelebA with {len(names)} attributes", "attributes", "Attributes",
        {
            "source": {"class_path": "CelebA", "init_args": {"root": str(folder.root)}},
            "attributes": wanted,
            **_held_out(len(tree[CELEBA_IMAGES])),
        },
        [Part(CELEBA_IMAGES, tree[CELEBA_IMAGES])], names=wanted, tables=CELEBA_LISTS,
        mend=[f"{name} is missing: add it" for name in lacking],
    )  # fmt: skip


def _csv(folder: Folder, table: str) -> Reading | None:
    try:
        rows = read_csv(folder.root / table)
    except (DataError, UnicodeDecodeError):
        return None
    there = {each.name: each for each in folder.looks}
    found = _file_column(rows, there)
    if found is None:
        return None
    column, base = found
    named = [f"{base}{row[column]}" for row in rows]
    looks = [there[name] for name in dict.fromkeys(named) if name in there]
    wanted = _attributes(rows, column)
    if not wanted:
        return None
    root = folder.root / base
    depth = len(PurePosixPath(base).parts)
    source: dict[str, Any] = {"root": str(root), "table": "../" * depth + table, "file": column}
    columns = list(dict.fromkeys(name.partition("=")[0] for name in wanted))
    source["attributes"] = columns
    return Reading(
        f"images with a table, {table}: attributes {shortened(columns)}", "attributes",
        "Attributes",
        {
            "source": {"class_path": "AttributeTable", "init_args": source},
            "attributes": wanted,
            **_held_out(len(rows)),
        },
        [Part(base.rstrip("/"), looks)], names=wanted, tables=[table],
        mend=_strangers(table, named, base, there),
    )  # fmt: skip


def _held_out(n: int) -> dict[str, int]:
    """Return how many of `n` images are for val and test: a tenth each, if that is not too many."""
    return {name: max(1, min(most, n // 10)) for name, most in _HELD_OUT.items()}


def _file_column(rows: Sequence[Row], there: Mapping[str, object]) -> tuple[str, str] | None:
    """Return the column that names files, and the folder that they are relative to."""
    places: dict[str, list[str]] = {}
    for name in there:
        places.setdefault(PurePosixPath(name).name, []).append(name)
    for column in rows[0]:
        bases = Counter(
            name.removesuffix(cell)
            for row in rows[:_TRIED]
            if (cell := row[column])
            for name in places.get(PurePosixPath(cell).name, [])
            if name == cell or name.endswith(f"/{cell}")
        )
        if bases:
            base, times = bases.most_common(1)[0]
            if times >= min(len(rows), _TRIED) / 2:
                return column, base
    return None


def _attributes(rows: Sequence[Row], file: str) -> list[str]:
    """Return what to translate: columns of two values that are balanced, or values of others."""
    balance: dict[str, float] = {}
    for column in rows[0]:
        counts = Counter(row[column] for row in rows)
        if column in (file, _GROUP) or "" in counts or not 2 <= len(counts) <= _MOST_VALUES:
            continue
        usual, times = counts.most_common(1)[0]
        name = column if len(counts) == 2 else f"{column}={usual}"
        balance[name] = min(times, len(rows) - times)
    return sorted(balance, key=lambda name: ("=" in name, -balance[name]))[:_PROPOSED]


def _strangers(
    table: str, named: Sequence[str], base: str, there: Mapping[str, object]
) -> list[str]:
    """Say which rows have no file, and which files no row or several."""
    mend = [f"{table} names {name}, which is missing" for name in named if name not in there]
    mend += [f"{table} has several rows of {name}" for name, n in Counter(named).items() if n > 1]
    suffixes, known = {PurePosixPath(name).suffix for name in named}, set(named)
    return mend + [
        f"{table} has no row of {name}"
        for name in there
        if name.startswith(base) and name not in known and PurePosixPath(name).suffix in suffixes
    ]
