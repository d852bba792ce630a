"""Scenes whose pictures lie in files: found by their names, checked as a whole, decoded."""

import hashlib
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import Literal, TypeVar

import numpy as np
import torch
from PIL import Image
from pytorch_lightning.utilities import rank_zero_info
from torch import Tensor

from datamodules.errors import DataError
from datamodules.files.archives import ARRAY_SUFFIXES, IMAGE_SUFFIXES, Directory, read_file
from datamodules.files.decoding import Resize, Size, UnreadableError, sides
from datamodules.files.modalities import FileModality, decode, fit
from datamodules.files.scan_cache import Facts, ScanCache
from datamodules.items.modalities import Modality
from datamodules.items.scenes import MemoryScenes, Scenes
from datamodules.items.splits import Batch

Part = Literal["whole", "left", "right"]
T = TypeVar("T")
U = TypeVar("U")

_BYTES = {"image": 1, "depth": 4, "labels": 1}  # of a stored value
_LISTED = 20
_SLOW = 2000  # files whose check takes long enough to be announced


@dataclass(frozen=True)
class Picture:
    """A file, or one half of it.

    Attributes:
        file: Its path.
        part: Of its width.
    """

    file: Path
    part: Part = "whole"

    def decode(self, data: bytes, modality: Modality) -> Image.Image:
        """Decode the bytes of the file; see `datamodules.modality_files.decode`."""
        whole = decode(data, modality)
        if self.part == "whole":
            return whole
        if whole.width % 2:
            raise UnreadableError(f"is {whole.width} pixels wide, which has no two equal halves")
        middle = whole.width // 2
        left = 0 if self.part == "left" else middle
        return whole.crop((left, 0, left + middle, whole.height))


@dataclass(frozen=True)
class Verdict:
    """What a scan found in one picture.

    Attributes:
        sha256: Hash of the file's bytes.
        size: Width and height in pixels, (0, 0) if it cannot be used.
        problem: Why it cannot be used, completing '<name> ...'; None if it can.
        constant: Is it an image of one colour?
    """

    sha256: str
    size: tuple[int, int]
    problem: str | None
    constant: bool = False


Found = Mapping[str, Sequence[Picture]]
Verdicts = Mapping[str, Sequence[Verdict]]


class FileScenes(Scenes):
    """Scenes decoded from their files whenever they are fetched.

    Args:
        modalities: Name -> what it is.
        found: Modality -> its pictures, one per scene.
        ids: See `Scenes`.
        size: Side in pixels, or height and width.
        resize: How pictures of other shapes get this one.
        verdicts: Modality -> what `scan` said of each picture.
        fields: See `Split`.
    """

    def __init__(
        self,
        modalities: Mapping[str, Modality],
        found: Found,
        ids: Sequence[str],
        size: Size,
        resize: Resize,
        verdicts: Verdicts,
        fields: Batch | None = None,
    ) -> None:
        super().__init__({name: modalities[name] for name in found}, ids, fields or {})
        self.found, self.size, self.resize, self.verdicts = found, size, resize, verdicts

    @cached_property
    def sha256(self) -> str:
        digest = hashlib.sha256(f"{self.size} {self.resize}".encode())
        for name, verdicts in self.verdicts.items():
            digest.update(f"{name} {_key(self.modalities[name])}\n".encode())
            for picture, verdict in zip(self.found[name], verdicts, strict=True):
                digest.update(f"{verdict.sha256} {picture.part}\n".encode())
        return digest.hexdigest()

    @property
    def nbytes(self) -> int:
        """Size of all decoded pictures."""
        per_pixel = sum(
            _BYTES[m.kind] * (m.channels if m.kind == "image" else 1)
            for m in self.modalities.values()
        )
        return len(self) * per_pixel * math.prod(sides(self.size))

    def pictures(self, index: Tensor) -> Batch:
        chosen = index.tolist()
        stored = {name: torch.stack([self._read(name, i) for i in chosen]) for name in self.found}
        ids = [self.ids[i] for i in chosen]
        return MemoryScenes(self.modalities, stored, ids).pictures(torch.arange(len(chosen)))

    def in_memory(self) -> MemoryScenes:
        """Decode all files once, in a pool of threads."""
        stored = {
            name: torch.stack(_in_threads(partial(self._read, name), range(len(self))))
            for name in self.found
        }
        return MemoryScenes(self.modalities, stored, self.ids, self.fields, self.sha256)

    def _read(self, name: str, position: int) -> Tensor:
        picture, modality = self.found[name][position], self.modalities[name]
        try:
            whole = picture.decode(read_file(picture.file), modality)
        except UnreadableError as error:
            raise DataError(
                f"{picture.file} could be read when it was checked but now {error}; put it back "
                "or start again without it."
            ) from error
        return fit(whole, modality, self.size, self.resize)


def find(folder: Path) -> dict[str, Path]:
    """Return the pictures under a folder by their stems: relative paths without suffix, sorted.

    Raises:
        DataError: There is no such folder, no picture in it, or two of one stem.
    """
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}; make it, with one file per scene.")
    files: dict[str, Path] = {}
    source = Directory(folder, IMAGE_SUFFIXES | ARRAY_SUFFIXES)
    source.tell_skipped()
    for name in source.names:
        stem = PurePosixPath(name).with_suffix("").as_posix()
        if stem in files:
            raise DataError(
                f"{folder} has {files[stem].name} and {Path(name).name} for one scene, {stem}; "
                "keep one."
            )
        files[stem] = folder / name
    if not files:
        raise DataError(f"{folder} holds no pictures; fill or remove it.")
    return dict(sorted(files.items()))


def find_aligned(
    folders: Mapping[str, Path],
) -> tuple[list[str], dict[str, list[Picture]]]:
    """Return the stems that files in several folders share, and the pictures of each modality.

    Args:
        folders: Modality -> where its files lie.

    Raises:
        DataError: Some stem is not in all folders; or see `find`.
    """
    files = {name: find(folder) for name, folder in folders.items()}
    stems = sorted(set().union(*files.values()))
    lacking = [
        f"{stem} lacks {', '.join(missing)}"
        for stem in stems
        if (missing := [name for name in files if stem not in files[name]])
    ]
    if lacking:
        where = os.path.commonpath(list(folders.values()))
        raise DataError(
            f"{where}: {len(lacking)} of {len(stems)} scenes are incomplete; add the files (one "
            f"stem in every folder) or remove the others:{_listed(lacking)}"
        )
    return stems, {name: [Picture(files[name][stem]) for stem in stems] for name in files}


def scan(root: Path, modalities: Mapping[str, Modality], found: Found) -> Verdicts:
    """Judge every picture by decoding it whole, in a pool of threads.

    Every file's bytes are read and hashed each time; what decoding said is kept in the cache
    folder under that hash, so a file is decoded again only when its content is new.

    Args:
        root: What the cache is for.
        modalities: Name -> what it is.
        found: Modality -> its pictures.

    Returns:
        Modality -> verdict of each picture.
    """
    total = sum(len(pictures) for pictures in found.values())
    if total >= _SLOW:
        rank_zero_info(f"Checking {total} files of {root} ...")
    cache = ScanCache(root, "pictures")
    verdicts = {
        name: _in_threads(partial(_judge, cache, modalities[name]), pictures)
        for name, pictures in found.items()
    }
    cache.save()
    return verdicts


def refuse_unusable(root: Path, found: Found, verdicts: Verdicts, aligned: bool) -> None:
    """Raise DataError, naming all unusable pictures of a scan.

    Args:
        root: What they are named relative to.
        found: Modality -> its pictures.
        verdicts: Modality -> verdict of each.
        aligned: Must the pictures of one scene have one size?
    """
    unusable = [
        f"{_name(picture, root)} {verdict.problem}"
        for name, pictures in found.items()
        for picture, verdict in zip(pictures, verdicts[name], strict=True)
        if verdict.problem
    ]
    problems = list(dict.fromkeys(unusable))  # a picture of a small domain has several turns
    if not problems and aligned:
        problems = _sizes(root, found, verdicts)
    if problems:
        raise DataError(
            f"{root}: {len(problems)} problems with the files; correct or remove "
            f"them:{_listed(problems)}"
        )


def refuse_constant(root: Path, scenes: FileScenes) -> None:
    """Raise DataError, naming them, if some images have one colour in all pixels.

    Nothing can be learned from those, and what normalises by their deviation divides by 0.

    Args:
        root: What files are named relative to.
        scenes: Of a training set.
    """
    constant = [
        _name(picture, root)
        for name, pictures in scenes.found.items()
        for picture, verdict in zip(pictures, scenes.verdicts[name], strict=True)
        if verdict.constant
    ]
    if constant:
        raise DataError(
            f"{root}: {len(constant)} training images have one colour in all pixels; correct or "
            f"remove them:{_listed(constant)}"
        )


def refuse_copies(root: Path, parts: Mapping[str, FileScenes]) -> None:
    """Raise DataError, naming files, if one image file is in two parts.

    Only images are compared: two scenes may well have the same label map.

    Args:
        root: What files are named relative to.
        parts: Name of a set or split -> its scenes.
    """
    owners: dict[str, tuple[str, str]] = {}
    copies: dict[str, None] = {}
    for part, scenes in parts.items():
        for sha256, name in _images(root, scenes):
            owner, first = owners.setdefault(sha256, (part, name))
            if owner != part:
                copies[f"{first} and {name}"] = None
    if copies:
        raise DataError(
            f"{root}: {len(copies)} images are in two of {', '.join(parts)}, so that scenes "
            f"are shared; keep one of each:{_listed(list(copies))}"
        )


def _images(root: Path, scenes: FileScenes) -> Iterator[tuple[str, str]]:
    """Yield hash and name of every image."""
    for modality, pictures in scenes.found.items():
        if scenes.modalities[modality].kind == "image":
            for picture, verdict in zip(pictures, scenes.verdicts[modality], strict=True):
                yield f"{verdict.sha256} {picture.part}", _name(picture, root)


def _judge(cache: ScanCache, modality: Modality, picture: Picture) -> Verdict:
    try:
        data = read_file(picture.file)
    except UnreadableError as error:
        return Verdict("", (0, 0), str(error))

    def decoded() -> Facts:
        try:
            image = picture.decode(data, modality)
        except UnreadableError as error:
            return [0, 0, str(error), False]
        return [*image.size, None, modality.kind == "image" and _is_constant(image)]

    sha256 = hashlib.sha256(data).hexdigest()
    key = f"{sha256} {picture.part} {_key(modality)}"
    width, height, problem, constant = cache.recall(key, decoded)
    return Verdict(sha256, (width, height), problem, constant)


def _is_constant(image: Image.Image) -> bool:
    pixels = np.asarray(image)
    return bool((pixels == pixels[0, 0]).all())


def _key(modality: Modality) -> str:
    """Return what decides how a file is decoded."""
    key = f"{modality.kind} {modality.channels}"
    if not isinstance(modality, FileModality):
        return key
    return f"{key} {modality.per_metre} {sorted((modality.label_map or {}).items())}"


def _sizes(root: Path, found: Found, verdicts: Verdicts) -> list[str]:
    """Say which pictures of one scene differ in size."""
    (first, *others), problems = found, []
    for name in others:
        for i, (one, other) in enumerate(zip(verdicts[first], verdicts[name], strict=True)):
            if one.size != other.size:
                problems.append(
                    f"{_name(found[first][i], root)} has {_times(one)} pixels but "
                    f"{_name(found[name][i], root)} {_times(other)}"
                )
    return problems


def _times(verdict: Verdict) -> str:
    return "x".join(str(side) for side in verdict.size)


def _name(picture: Picture, root: Path) -> str:
    return picture.file.relative_to(root).as_posix()


def _listed(problems: Sequence[str]) -> str:
    more = [f"and {len(problems) - _LISTED} more"] if len(problems) > _LISTED else []
    return "".join(f"\n  {problem}" for problem in [*problems[:_LISTED], *more])


def _in_threads(function: Callable[[U], T], arguments: Iterable[U]) -> list[T]:
    with ThreadPoolExecutor(min(16, 2 * (os.cpu_count() or 1))) as pool:
        return list(pool.map(function, arguments))
