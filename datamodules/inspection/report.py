"""What was found in a folder: its layout, its parts, what to mend, what fits in memory."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from datamodules.errors import DataError
from datamodules.files.archives import (
    ARRAY_SUFFIXES,
    IMAGE_SUFFIXES,
    Archive,
    Directory,
    Source,
    is_clutter,
    named,
    suffix_of,
)
from datamodules.files.images import IN_MEMORY_BYTES
from datamodules.inspection import copies
from datamodules.inspection.layouts import BOTH_HALVES, read
from datamodules.inspection.looks import Look, look_at
from datamodules.inspection.readings import SPLITS, Folder, Part, Reading, shortened
from datamodules.unconditional import held_out

MIB = 2**20

_SHARE = 0.1  # that `Unconditional` holds out for val, and for test
_SIDES = {
    "generate": (16, 32), "classes": (16, 32), "attributes": (32, 32), "domains": (32, 256),
    "pairs": (32, 256),
}  # fmt: skip
_LOADED = 286 / 256  # CycleGAN's and pix2pix's load_size to image_size
_GREY = ("grey", "16-bit grey")
_BYTES = {"depth": 4, "labels": 1}  # of a pixel that is kept
_WORKERS = 8
_WRAPPERS = 5  # folders in folders


@dataclass(frozen=True)
class Report:
    """A folder as it was found.

    Attributes:
        folder: What was looked at.
        reading: How it is understood.
        image_size: Side in pixels that is proposed.
        channels: 1 if all images are grey, and 3.
        options: Arguments of the data module.
        exact: Groups of files with the same bytes.
        near: Groups of files that look alike.
        leaks: Groups of either that lie in two parts which may share nothing.
        flat: Files of one colour, or nearly.
        mend: What a run would refuse.
        notes: What else is worth knowing.
        decoded: Bytes of the largest set at `image_size`.
    """

    folder: Folder
    reading: Reading
    image_size: int
    channels: int
    options: Mapping[str, Any]
    exact: Sequence[Sequence[str]]
    near: Sequence[Sequence[str]]
    leaks: Sequence[Sequence[str]]
    flat: Sequence[str]
    mend: Sequence[str]
    notes: Sequence[str]
    decoded: int

    @property
    def skipped(self) -> list[str]:
        """Files that are neither images nor tables of them."""
        return [n for n in self.folder.source.skipped if n not in self.reading.tables]

    def as_json(self) -> dict[str, Any]:
        """Return the report in JSON-able values."""
        return {
            "root": str(self.folder.root),
            "what": self.reading.what,
            "task": self.reading.task,
            "parts": [summary(part) for part in self.reading.parts],
            "skipped": self.skipped,
            "exact_copies": self.exact,
            "near_copies": self.near,
            "leaks": self.leaks,
            "nearly_one_colour": self.flat,
            "mend": self.mend,
            "notes": self.notes,
            "data": {"class_path": self.reading.data, "init_args": self.options},
            "decoded_mib": round(self.decoded / MIB, 1),
        }


def inspect(root: Path, progress: Callable[[Iterator[Look], int], Iterator[Look]]) -> Report:
    """Look at all of a folder or archive.

    Args:
        root: Its path.
        progress: Passes the looks on, and may show how many of the given number there were.

    Raises:
        DataError: There is nothing in it that can be used.
    """
    if not root.exists():
        raise DataError(f"{root} does not exist; give a folder of images or a zip archive of them.")
    root = _unwrapped(root)
    source = _open(root)
    looks = list(progress(look_at(source, source.names), len(source.names)))
    folder = Folder(root, source, looks)
    if not folder.usable:
        others = [*(f"{each.name} {each.problem}" for each in looks), *source.skipped]
        found = f"only {named(others)}" if others else "nothing"
        raise DataError(f"{root} holds no image that can be read, {found}; give another folder.")
    return judge(folder, read(folder))


def _unwrapped(root: Path) -> Path:
    """Return the folder that a folder holds and nothing else, as an unpacked archive may."""
    for _ in range(_WRAPPERS if root.is_dir() else 0):
        entries = [entry for entry in root.iterdir() if not is_clutter(entry.name)]
        if len(entries) != 1 or not entries[0].is_dir() or entries[0].name.startswith(SPLITS):
            break
        root = entries[0]
    return root


def _open(root: Path) -> Source:
    """Return the pictures of a folder or archive, arrays of depth among them."""
    if root.is_dir():
        return Directory(root, IMAGE_SUFFIXES | ARRAY_SUFFIXES)
    return Archive(root)


def judge(folder: Folder, reading: Reading) -> Report:
    """Say what is wrong with a folder, and how it is to be read."""
    parts = [_readable_by(reading, part) for part in reading.parts]
    looks = [each for part in parts for each in part.looks]
    pictures = [each for part in parts if _shows_images(reading, part) for each in part.looks]
    usable = [each for each in pictures if each.problem is None] or looks
    image_size = _image_size(reading, usable)
    grey = all(each.pixels in _GREY for each in usable)
    channels = 1 if grey and reading.data == "Unconditional" else 3
    decoded = _decoded(reading, parts, channels) * _kept_side(reading, image_size) ** 2
    exact, near = copies.exact(pictures), copies.near(pictures)
    owners = {each.name: _owner(reading, part) for part in parts for each in part.looks}
    return Report(
        folder,
        reading,
        image_size,
        channels,
        _options(reading, image_size, channels, looks, decoded),
        exact,
        near,
        copies.across([*exact, *near], owners),
        [each.name for each in pictures if each.flat],
        list(_to_mend(reading, looks, pictures, copies.across(exact, owners))),
        [*reading.notes, *_notes(reading, usable, channels)],
        decoded,
    )


def summary(part: Part) -> dict[str, Any]:
    """Return what a row of the table says of a part."""
    usable = [each for each in part.looks if each.problem is None]
    sides = sorted((each.size for each in usable), key=lambda size: size[0] * size[1])
    return {
        "part": part.name,
        "files": len(part.looks),
        "unreadable": len(part.looks) - len(usable),
        "smallest": list(sides[0]) if sides else None,
        "largest": list(sides[-1]) if sides else None,
        "sizes": len(set(sides)),
        "pixels": dict(Counter(each.pixels for each in usable).most_common()),
        "turned": sum(each.turned for each in usable),
    }


def workers() -> int:
    """Return how many processes may read files here."""
    return max(1, min(_WORKERS, (os.cpu_count() or 1) - 1))


def _readable_by(reading: Reading, part: Part) -> Part:
    """Return a part without the arrays that a data module of plain images skips."""
    if reading.task == "pairs":
        return part
    return replace(part, looks=[e for e in part.looks if suffix_of(e.name) not in ARRAY_SUFFIXES])


def _shows_images(reading: Reading, part: Part) -> bool:
    return reading.modalities.get(part.modality, {}).get("kind", "image") == "image"


def _owner(reading: Reading, part: Part) -> str:
    """Return what shares no picture with others: a split, a set, a training domain, a class."""
    if reading.task == "domains" and part.split != "train":
        return part.split
    return part.name.removesuffix(part.modality) if reading.task == "pairs" else part.name


def _image_size(reading: Reading, usable: Sequence[Look]) -> int:
    """Return the largest power of two that most images have, within what is quick to train."""
    by_label = reading.task == "domains" and not _are_two(reading)  # as attributes are
    least, most = _SIDES["attributes" if by_label else reading.task]
    side = int(median(min(each.size) for each in usable))
    return max(least, min(most, 2 ** (max(side, 1).bit_length() - 1)))


def _are_two(reading: Reading) -> bool:
    return len(reading.names) == 2


def _kept_side(reading: Reading, image_size: int) -> int:
    """Return the side at which images are kept, larger where they are cropped at random."""
    cropped = reading.task == "pairs" or (reading.task == "domains" and _are_two(reading))
    return round(image_size * _LOADED) if cropped else image_size


def _decoded(reading: Reading, parts: Sequence[Part], channels: int) -> int:
    """Return the bytes of the largest set, for one pixel of each picture."""
    sets: Counter[str] = Counter()
    for part in parts:
        kind = reading.modalities.get(part.modality, {}).get("kind", "image")
        per_pixel = channels if kind == "image" else _BYTES[kind]
        halves = 2 if part.modality == BOTH_HALVES else 1
        owner = "" if reading.task == "classes" else _owner(reading, part)
        sets[owner] += per_pixel * halves * len(part.looks)
    return max(sets.values())


def _options(
    reading: Reading, image_size: int, channels: int, looks: Sequence[Look], decoded: int
) -> dict[str, Any]:
    """Return all arguments of the data module."""
    options = dict(reading.options)
    if reading.data == "Attributes":
        source = options["source"]
        options["source"] = {
            **source, "init_args": {**source["init_args"], "image_size": image_size},
        }  # fmt: skip
    else:
        options["image_size"] = image_size
    if reading.data == "Unconditional":
        options |= {"channels": channels, **_fractions(reading, looks)}
    if (side := _kept_side(reading, image_size)) > image_size:
        options["load_size"] = side
    if decoded > IN_MEMORY_BYTES:
        options["num_workers"] = workers()
    return options


def _fractions(reading: Reading, looks: Sequence[Look]) -> dict[str, float]:
    """Return shares of 0 where a tenth of so few images would be none."""
    fractions = {
        split: 0.0 if f"{split}_root" in reading.options else _SHARE for split in ("val", "test")
    }
    if any(part.split for part in reading.parts):
        looks = [each for part in reading.parts if part.split == "train" for each in part.looks]
    dealt = {held_out(each.sha256, fractions["val"], fractions["test"], 0) for each in looks}
    wanted = {"train", *(split for split, share in fractions.items() if share)}
    return (
        {} if wanted <= dealt else {f"{s}_fraction": 0 for s, share in fractions.items() if share}
    )


def _to_mend(
    reading: Reading,
    looks: Sequence[Look],
    pictures: Sequence[Look],
    shared: Sequence[Sequence[str]],
) -> Iterator[str]:
    """Say what a run would refuse."""
    for each in looks:
        if each.problem:
            yield f"{each.name} {each.problem}"
    for each in pictures:
        if each.pixels == "float":
            yield f"{each.name} has floating-point pixels, whose range is unknown"
    yield from reading.mend
    if reading.task in ("domains", "pairs"):
        for group in shared:
            yield f"{shortened(group)} are one image in parts that may share none: keep one"


def _notes(reading: Reading, usable: Sequence[Look], channels: int) -> Iterator[str]:
    """Say what becomes of unlike images."""
    pixels = Counter(each.pixels for each in usable)
    if reading.data == "Unconditional" and channels == 1:
        yield (
            "all images are grey, so channels is 1; for a source, critic or network of RGB images "
            "give --data.init_args.channels 3, which repeats the grey"
        )
    elif reading.task == "generate":
        yield "for a grey source or critic give --data.init_args.channels 1"
    if channels == 3 and (len(pixels) > 1 or not {"RGB"} >= set(pixels)):
        yield f"{', '.join(f'{n} {name}' for name, n in pixels.most_common())}: all become RGB"
    if turned := sum(each.turned for each in usable):
        yield f"{turned} are turned by EXIF, and read upright"
