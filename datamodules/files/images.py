"""Folders and archives of images: checked as a whole, labelled, decoded."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import torch
from pytorch_lightning.utilities import rank_zero_info
from torch import Tensor

from datamodules.errors import DataError
from datamodules.files.archives import LABEL_FILE, Source
from datamodules.files.decoding import Kind, Resize, UnreadableError, kind_of, open_image, to_pixels
from datamodules.files.scan_cache import ScanCache
from datamodules.items.splits import Batch, MemoryImages, Split, to_unit_range

Labels = Literal["auto", "none", "folders", "dataset.json"]
Mismatch = Literal["error", "convert"]
T = TypeVar("T")

IN_MEMORY_BYTES = 2**30
_LISTED = 20
_SLOW = 2000  # files whose check takes long enough to be announced


@dataclass(frozen=True)
class Verdict:
    """What a scan found in one file.

    Attributes:
        name: Relative path.
        sha256: Hash of the file's bytes.
        kind: What its pixels are, None if it cannot be read.
        problem: Why it cannot be read, completing '<name> ...'; None if it can.
    """

    name: str
    sha256: str
    kind: Kind | None
    problem: str | None


def scan(source: Source) -> list[Verdict]:
    """Judge every file of a source by decoding it whole, in a pool of threads.

    Every file's bytes are read and hashed each time; what decoding said is kept in the cache folder
    under that hash, so a file is decoded again only when its content is new.
    """
    cache = ScanCache(source.root, "images")
    if len(source.names) >= _SLOW:
        rank_zero_info(f"Checking {len(source.names)} files of {source.root} ...")

    def judge(name: str) -> Verdict:
        data = source.read(name)
        sha256 = hashlib.sha256(data).hexdigest()
        kind, problem = cache.recall(sha256, lambda: list(_judge(data)))
        return Verdict(name, sha256, kind, problem)

    verdicts = _in_threads(judge, source.names)
    cache.save()
    return verdicts


def check(root: Path, verdicts: Sequence[Verdict], on_mismatch: Mismatch) -> None:
    """Name all unusable files of a scan in one error.

    Args:
        root: Where they lie, for the message.
        verdicts: Of all files.
        on_mismatch: Whether images whose kind is not the commonest are an error.
    """
    kinds = Counter(v.kind for v in verdicts if v.kind is not None)
    usual = max(kinds, key=lambda kind: kinds[kind], default=None)
    unreadable = [f"{v.name} {v.problem}" for v in verdicts if v.problem]
    other = [
        f"{v.name} is {v.kind} among {usual} images"
        for v in verdicts
        if on_mismatch == "error" and v.kind not in (None, usual)
    ]
    if not unreadable and not other:
        return
    problems = unreadable + other
    listed = "".join(f"\n  {problem}" for problem in problems[:_LISTED])
    more = f"\n  and {len(problems) - _LISTED} more" if len(problems) > _LISTED else ""
    remedies = ["remove or replace the unreadable ones"] if unreadable else []
    if other:
        remedies += ["set on_mismatch: convert to accept all kinds (channels 1 or 3 decides)"]
    remedy = " and ".join(remedies)
    raise DataError(
        f"{root}: {len(problems)} of {len(verdicts)} files cannot be used; {remedy}:{listed}{more}"
    )


def class_names(source: Source, labels: Labels) -> list[str]:
    """Return the names of the classes, [] without labels.

    `folders` names them by the first-level folders, sorted; `dataset.json` numbers them 0 to the
    largest label; `auto` uses that file where there is one with labels, and no labels otherwise.
    """
    if labels == "folders":
        return _class_folders(source)
    if labels == "dataset.json" or (labels == "auto" and source.has_labels):
        by_name = _json_labels(source, required=labels == "dataset.json")
        return [str(c) for c in range(max(by_name.values(), default=-1) + 1)]
    return []


def read_labels(source: Source, labels: Labels, classes: Sequence[str]) -> Tensor:
    """Return the class of each file of a source, int64 (N,), as positions in `classes`."""
    if labels == "folders":
        names = {name: name.split("/")[0] for name in source.names}
        _class_folders(source)
    else:
        numbers = _json_labels(source, required=True)
        names = {name: str(number) for name, number in numbers.items()}
    position = {cls: i for i, cls in enumerate(classes)}
    for name in source.names:
        if name not in names:
            raise DataError(f"{source.root}: {LABEL_FILE} has no label for {name}; add it.")
        if names[name] not in position:
            raise DataError(
                f"{source.root}: {name} is of class {names[name]}, which the training images "
                f"lack; their classes are {', '.join(classes)}."
            )
    return torch.tensor([position[names[name]] for name in source.names])


class FileImages(Split):
    """A split decoded from its files whenever it is fetched.

    Args:
        source: Holds the files.
        names: Which of them, in order.
        fields: See `Split`.
        size: Side in pixels.
        channels: 1 or 3.
        resize: How other shapes become square.
        sha256: Hash of the content.
    """

    def __init__(
        self,
        source: Source,
        names: Sequence[str],
        fields: Batch,
        size: int,
        channels: int,
        resize: Resize,
        sha256: str,
    ) -> None:
        super().__init__(fields)
        self.source, self.names = source, list(names)
        self.size, self.channels, self.resize = size, channels, resize
        self._sha256 = sha256

    @property
    def sha256(self) -> str:
        return self._sha256

    def __len__(self) -> int:
        return len(self.names)

    @property
    def nbytes(self) -> int:
        """Size of all decoded pixels."""
        return len(self) * self.channels * self.size**2

    def images(self, index: Tensor) -> Tensor:
        pixels = [self._pixels(self.names[i]) for i in index.tolist()]
        return to_unit_range(torch.stack(pixels))

    def in_memory(self) -> MemoryImages:
        """Decode all files once, in a pool of threads."""
        pixels = torch.stack(_in_threads(self._pixels, self.names))
        return MemoryImages(pixels, self.fields, self.sha256)

    def _pixels(self, name: str) -> Tensor:
        try:
            image = open_image(self.source.read(name))
        except (UnreadableError, OSError) as error:
            raise DataError(
                f"{self.source.root}: {name} could be read when training began but now {error}; "
                "put it back or start again without it."
            ) from error
        return to_pixels(image, self.size, self.channels, self.resize)


def _in_threads(function: Callable[[str], T], names: Sequence[str]) -> list[T]:
    with ThreadPoolExecutor(min(16, 2 * (os.cpu_count() or 1))) as pool:
        return list(pool.map(function, names))


def _judge(data: bytes) -> tuple[Kind | None, str | None]:
    try:
        return kind_of(open_image(data)), None
    except UnreadableError as error:
        return None, str(error)


def _class_folders(source: Source) -> list[str]:
    loose = [name for name in source.names if "/" not in name]
    if loose:
        raise DataError(
            f"{source.root}: {loose[0]} lies outside of the class folders that labels: folders "
            "expects; move it into one or set labels: none."
        )
    filled = {name.split("/")[0] for name in source.names}
    for folder in source.folders:
        if folder not in filled:
            raise DataError(
                f"{source.root}: the class folder {folder} holds no images; fill or remove it."
            )
    return source.folders


def _json_labels(source: Source, required: bool) -> dict[str, int]:
    """Return file name -> class from StyleGAN's {"labels": [[name, class], ...] or null}."""
    where = f"{source.root}: {LABEL_FILE}"
    if not source.has_labels:
        raise DataError(f"{where} is missing; add it or set labels: none or folders.")
    try:
        labels = json.loads(source.read(LABEL_FILE))["labels"]
        by_name = dict(labels or [])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f'{where} is not of the form {{"labels": [["name.png", 0], ...]}}; correct it or set '
            "labels: none."
        ) from error
    for name, label in by_name.items():
        if type(label) is not int or label < 0:
            raise DataError(f"{where} gives {name} the label {label}; give whole numbers from 0.")
    if required and not by_name:
        raise DataError(f"{where} has no labels; add them or set labels: none.")
    return by_name
