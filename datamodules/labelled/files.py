"""Labelled images in files: checked, dealt by hashes of their names, decoded once or at need."""

import hashlib
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Literal

import torch
from PIL import Image
from torch import Tensor

from datamodules.errors import DataError
from datamodules.files.archives import Directory, Source
from datamodules.files.decoding import RESIZE_RULES, Resize, UnreadableError, open_image, to_pixels
from datamodules.files.images import IN_MEMORY_BYTES, FileImages, Verdict, check, scan
from datamodules.files.translation_folders import existing_folder
from datamodules.items.splits import Batch, Split
from datamodules.labelled.source import (
    IMAGES,
    Hand,
    LabelledSource,
    Portion,
    count,
    given_values,
    value_number,
)

ALL = "all"  # in a portion of files: as many images as the others leave
TRAIN, TRANSLATION = "train", "translation"
SHARES = {"extractor": 0.1, "judge0": 0.1, "judge1": 0.1}

_HELD_OUT = ("val", "test")
_LISTED = 5


@dataclass(frozen=True)
class Rows:
    """What a table says of files.

    Attributes:
        files: One for each row, relative to the folder of the images.
        attributes: Name -> names of its values.
        values: Name -> value of each row, int64 (N,).
        groups: Group of each row, '' where the table names none.
        keys: What the group of such a row is drawn by: rows of one key stay together.
        left_out: Files of the folder that the table knows and does not use.
    """

    files: Sequence[str]
    attributes: Mapping[str, Sequence[str]]
    values: Batch
    groups: Sequence[str]
    keys: Sequence[str]
    left_out: Sequence[str] = ()


class LabelledFiles(LabelledSource):
    """Images in files whose attributes a table knows; a subclass defines `read_rows`.

    Each row belongs to one group, whichever data module asks. A row to which the table gives no
    group falls to one by a hash, with that group's share, or else to `translation`; a row of
    `train` falls so too, or else stays. A group that the table names has the rows named, and no
    share. Parts are dealt from the group of their name, train also from `translation`, and so are
    val and test if they have no group.

    A portion may ask for `all` images. Rows are dealt in the order of a hash of (seed, name).

    Args:
        folder: Holds the images.
        table: Holds the attributes.
        image_size: Side in pixels.
        crop: Side in pixels of the central square that is cut out first, of the largest one where
            the image is smaller; None: no cut.
        resize: How what is left becomes a square.
        shares: Group -> share of the rows, e.g. of `val`, `extractor`, `judge0`; None: `SHARES`.
        seed: Of the order in which rows are dealt; groups don't depend on it.
        in_memory: Whether to decode all images of a part once; `auto` does so up to 1 GiB.
    """

    def __init__(
        self,
        folder: Path,
        table: Path,
        image_size: int,
        crop: int | None,
        resize: Resize,
        shares: Mapping[str, float] | None,
        seed: int,
        in_memory: bool | Literal["auto"],
    ) -> None:
        for name, side in (("image_size", image_size), ("crop", crop)):
            if side is not None and side < 1:
                raise DataError(f"{name} is {side}; give 1 pixel or more.")
        self.shares = dict(SHARES if shares is None else shares)
        if min(self.shares.values(), default=0) < 0 or sum(self.shares.values()) > 1:
            raise DataError(f"shares is {self.shares}; give shares from 0, in all 1 at most.")
        self.folder, self.table, self.image_size = folder, table, image_size
        self.crop, self.resize, self.memory, self.seed = crop, resize, in_memory, seed

    @abstractmethod
    def read_rows(self) -> Rows:
        """Read the table, which exists."""

    @cached_property
    def rows(self) -> Rows:
        """What the table says, which knows every image of the folder and no other."""
        existing_folder(self.folder)
        existing_file(self.table)
        rows = self.read_rows()
        _refuse_strangers(self.folder, self.table, [*rows.files, *rows.left_out])
        return rows

    @property
    def attributes(self) -> Mapping[str, Sequence[str]]:  # type: ignore[override]  # files are read late
        """Name -> names of its values."""
        return self.rows.attributes

    def deal(self, parts: Mapping[str, Sequence[Portion]]) -> dict[str, Hand]:
        asked = [(part, i) for part, portions in parts.items() for i in range(len(portions))]
        free = torch.ones(len(self.rows.files), dtype=torch.bool)
        dealt: dict[tuple[str, int], Tensor] = {}
        for part, i in sorted(asked, key=lambda each: _patience(parts[each[0]][each[1]])):
            dealt[part, i] = self._deal_portion(part, parts[part][i], free)
            free[dealt[part, i]] = False
        return {
            part: self._hand(part, portions, [dealt[part, i] for i in range(len(portions))])
            for part, portions in parts.items()
        }

    def load(self, hand: Hand) -> Split:
        files = _Files(self.folder, [self.rows.files[i] for i in hand.index.tolist()])
        verdicts = scan(files)
        check(self.folder, verdicts, "convert")
        known = {name: values[hand.index] for name, values in self.rows.values.items()}
        sha256 = self._hash(verdicts, known)
        fields = {**known, "number": hand.index}
        images = _CentralImages(files, fields, self.image_size, self.crop, self.resize, sha256)
        wanted = images.nbytes <= IN_MEMORY_BYTES if self.memory == "auto" else self.memory
        return images.in_memory() if wanted else images

    def _hand(self, part: str, portions: Sequence[Portion], dealt: Sequence[Tensor]) -> Hand:
        counted = [{**p, IMAGES: len(found)} for p, found in zip(portions, dealt, strict=True)]
        return Hand(torch.cat(list(dealt)), given_values(self.attributes, part, counted))

    def _deal_portion(self, part: str, portion: Portion, free: Tensor) -> Tensor:
        """Return the rows of a portion, int64 (n,), among those that are free."""
        wanted = None if portion.get(IMAGES) == ALL else count(part, portion)
        fit = free & self._of_part(part)
        for name, value in portion.items():
            if name != IMAGES:
                fit &= value_number(self.attributes, name, value) == self.rows.values[name]
        found = self._order[fit[self._order]]
        if len(found) < (wanted or 1):
            kinds = ", ".join(f"{name} {v}" for name, v in portion.items() if name != IMAGES)
            raise DataError(
                f"{part} asks for {portion[IMAGES]} images{' of ' * bool(kinds)}{kinds}, and "
                f"{self.table} has {len(found)} left for it; ask for fewer or change shares."
            )
        return found[:wanted]

    def _of_part(self, part: str) -> Tensor:
        """Tell which rows, bool (N,), may be dealt to a part."""
        group = part.split("/")[0]
        own = {group} if group in self._owners else set()
        shared = {TRANSLATION} if group == TRAIN or (group in _HELD_OUT and not own) else set()
        names = own | shared
        if names.isdisjoint(self._owners):
            raise DataError(
                f"{part} asks for images, and {self.table} has no rows for {group}, only for "
                f"{', '.join(sorted(set(self._owners)))}; give it a share in shares."
            )
        return torch.tensor([owner in names for owner in self._owners])

    @cached_property
    def _owners(self) -> list[str]:
        """The group of each row."""
        fixed = set(self.rows.groups) - {"", TRAIN}
        shares = {group: share for group, share in self.shares.items() if group not in fixed}
        return [
            group if group in fixed else _drawn(key, shares) or group or TRANSLATION
            for group, key in zip(self.rows.groups, self.rows.keys, strict=True)
        ]

    @cached_property
    def _order(self) -> Tensor:
        """All rows, int64 (N,), as they are dealt."""
        keys = [_unit(f"{self.seed} {file}") for file in self.rows.files]
        return torch.tensor(keys, dtype=torch.float64).argsort(stable=True)

    def _hash(self, verdicts: Sequence[Verdict], known: Batch) -> str:
        rule = f"{self.image_size} {self.crop} {RESIZE_RULES[self.resize]}"
        digest = hashlib.sha256(rule.encode())
        for verdict in verdicts:
            digest.update(verdict.sha256.encode())
        for name, values in known.items():
            digest.update(f"{name} {list(self.attributes[name])}".encode())
            digest.update(values.numpy().tobytes())
        return digest.hexdigest()


class _Files(Source):
    """Some files of a folder, in any order."""

    def __init__(self, root: Path, names: list[str]) -> None:
        super().__init__(root, [], set())
        self.names = names

    def read(self, name: str) -> bytes:
        return (self.root / name).read_bytes()


class _CentralImages(FileImages):
    """Images of which only the central square of `crop` pixels counts."""

    def __init__(
        self,
        source: Source,
        fields: Batch,
        size: int,
        crop: int | None,
        resize: Resize,
        sha256: str,
    ) -> None:
        super().__init__(source, source.names, fields, size, 3, resize, sha256)
        self.crop = crop

    def _pixels(self, name: str) -> Tensor:
        try:
            image = open_image(self.source.read(name))
        except (UnreadableError, OSError) as error:
            raise DataError(
                f"{self.source.root}: {name} could be read when it was checked but now {error}; "
                "put it back or start again without it."
            ) from error
        return to_pixels(_centre(image, self.crop), self.size, self.channels, self.resize)


def existing_file(table: Path) -> Path:
    """Return the path of a table; it must be a file."""
    if not table.is_file():
        raise DataError(f"There is no file {table}, which says what the images show; add it.")
    return table


def listed(names: Sequence[str]) -> str:
    """Return the first names, and how many there are more."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def _refuse_strangers(folder: Path, table: Path, files: Sequence[str]) -> None:
    """Raise DataError unless table and folder name the same images, each once."""
    there, known = set(Directory(folder).names), set(files)
    missing = [name for name in files if name not in there]
    if missing:
        raise DataError(
            f"{table}: {len(missing)} of {len(files)} rows name files that {folder} lacks: "
            f"{listed(missing)}; add the files or remove the rows."
        )
    twice = [name for name, times in Counter(files).items() if times > 1]
    if twice:
        raise DataError(f"{table} has several rows of {listed(twice)}; keep one of each.")
    suffixes = {PurePosixPath(name).suffix for name in files}
    strange = sorted(n for n in there - known if PurePosixPath(n).suffix in suffixes)
    if strange:
        raise DataError(
            f"{table} lacks {len(strange)} of the images in {folder}: {listed(strange)}; add rows "
            "for them or remove the files."
        )


def _patience(portion: Portion) -> tuple[bool, int]:
    """Return who waits while others choose: who takes everything, and who takes any kind."""
    return portion.get(IMAGES) == ALL, -len(portion)


def _drawn(key: str, shares: Mapping[str, float]) -> str | None:
    """Return the group that a key falls to, None for no group of `shares`."""
    place = _unit(key)
    for group, share in shares.items():
        if place < share:
            return group
        place -= share
    return None


def _unit(key: str) -> float:
    """Return a hash in [0, 1)."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:6]) / 2**48


def _centre(image: Image.Image, crop: int | None) -> Image.Image:
    if crop is None:
        return image
    side = min(crop, *image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))
