"""Where image files lie: a directory tree or a zip archive, read alike."""

import io
import os
import shutil
import stat
import sys
import zipfile
from abc import ABC, abstractmethod
from functools import cache
from pathlib import Path, PurePosixPath

from pytorch_lightning.utilities import rank_zero_only

from datamodules.errors import DataError
from datamodules.files.decoding import UnreadableError

LABEL_FILE = "dataset.json"
IMAGE_SUFFIXES = frozenset(
    f".{ending}"
    for ending in (
        *("png", "apng", "jpg", "jpeg", "jpe", "jfif", "jp2", "webp", "avif", "heic", "heif"),
        *("bmp", "dib", "gif", "tif", "tiff", "tga", "ppm", "pgm", "pbm", "pnm"),
    )
)
ARRAY_SUFFIXES = frozenset({".npy", ".npz"})  # of depth
MOST_RATIO = 100  # of an archive's file, unpacked to packed
MOST_BYTES = 2**28  # of one file, unpacked: the largest image that is decoded, uncompressed
_PIECE, _SMALL = 2**12, 2**24  # bytes read at once; that may be packed any number of times
_CLUTTER = {"__MACOSX", "Thumbs.db", "desktop.ini"}
_NAMED = 3  # skipped files, before they are only counted


class Source(ABC):
    """A named collection of files.

    A file counts by its suffix. Hidden files and the clutter of file browsers are left out, and so
    are all others that are no image, which `tell_skipped` names.

    Args:
        root: The directory or archive.
        names: Relative paths of all that is in it.
        folders: Folders of the first level.
        suffixes: Of the files that count, in small letters.

    Attributes:
        root: The directory or archive.
        names: Relative paths with forward slashes, sorted, of the files that count.
        skipped: Those of the others, sorted, without `dataset.json`.
        folders: Folders of the first level, sorted, also empty ones.
        has_labels: Whether there is a `dataset.json`.
    """

    def __init__(
        self,
        root: Path,
        names: list[str],
        folders: set[str],
        suffixes: frozenset[str] = IMAGE_SUFFIXES,
    ) -> None:
        kept = [name for name in names if not is_clutter(name)]
        self.root = root
        self.names = sorted(name for name in kept if suffix_of(name) in suffixes)
        self.skipped = sorted({*kept} - {*self.names, LABEL_FILE})
        self.folders = sorted(folder for folder in folders if not is_clutter(folder))
        self.has_labels = LABEL_FILE in kept

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Return the bytes of a file; safe in several threads and processes.

        Raises:
            UnreadableError: It is no regular file, too large, damaged or locked.
        """

    def tell_skipped(self) -> None:
        """Name the files that are no images, once in a process."""
        if self.skipped:
            tell(f"{self.root}: skipped {named(self.skipped)}; only images are read.")


class Directory(Source):
    """All files under a directory, at any depth; links to folders are followed once."""

    def __init__(self, root: Path, suffixes: frozenset[str] = IMAGE_SUFFIXES) -> None:
        names: list[str] = []
        seen: set[str] = set()
        for folder, inner, files in os.walk(root, followlinks=True):
            real = os.path.realpath(folder)
            if real in seen:  # a link back up would never end
                inner.clear()
                continue
            seen.add(real)
            names += [(Path(folder) / file).relative_to(root).as_posix() for file in files]
        inner_folders = {entry.name for entry in root.iterdir() if entry.is_dir()}
        super().__init__(root, names, inner_folders, suffixes)

    def read(self, name: str) -> bytes:
        return read_file(self.root / name)


class Archive(Source):
    """The files of a zip archive, read in place."""

    def __init__(self, root: Path) -> None:
        self._opened: tuple[int, zipfile.ZipFile] | None = None
        try:
            with zipfile.ZipFile(root) as archive:
                entries = archive.namelist()
        except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
            raise DataError(f"{root} is not a readable zip archive: {error}.") from error
        files = [entry for entry in entries if not entry.endswith("/")]
        super().__init__(root, files, {e.split("/")[0] for e in entries if "/" in e})

    def read(self, name: str) -> bytes:
        # A forked worker must not share the file position of its parent.
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = os.getpid(), zipfile.ZipFile(self.root)
        archive = self._opened[1]
        told, unpacked = archive.getinfo(name), io.BytesIO()
        _refuse_size(told.file_size)
        if told.file_size > max(_SMALL, MOST_RATIO * told.compress_size):
            raise UnreadableError(f"unpacks to more than {MOST_RATIO} times its size")
        try:
            with archive.open(name) as file:
                # Piece by piece, as what the archive tells of sizes may be a lie.
                shutil.copyfileobj(file, unpacked, _PIECE)
            return unpacked.getvalue()
        except Exception as error:  # decompressors raise what they like on damaged data
            raise UnreadableError(f"cannot be unpacked ({error})") from error

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_opened": None}


def read_file(path: Path) -> bytes:
    """Return the bytes of a regular file; raise `UnreadableError` if that fails."""
    try:
        # A pipe would have us wait for somebody to write into it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise UnreadableError("is no regular file")
            _refuse_size(facts.st_size)
            return file.read()
    except OSError as error:
        raise UnreadableError(f"cannot be read ({error.strerror})") from error


def _refuse_size(n_bytes: int) -> None:
    if n_bytes > MOST_BYTES:
        raise UnreadableError(
            f"has {n_bytes / 2**20:,.0f} MiB, more than the {MOST_BYTES // 2**20} that are read"
        )


def open_source(root: Path) -> Source:
    """Return the files of a directory or zip archive; there must be some."""
    if not root.exists():
        raise DataError(f"{root} does not exist; give a folder of images or a zip archive of them.")
    if not root.is_dir() and not root.is_file():
        raise DataError(f"{root} is no folder or file; give a folder of images or a zip archive.")
    source = Directory(root) if root.is_dir() else Archive(root)
    if not source.names:
        others = f", only {named(source.skipped)}" if source.skipped else ""
        raise DataError(f"{root} holds no images{others}; give a folder or zip archive with some.")
    return source


def suffix_of(name: str) -> str:
    """Return what says by a file's name what is in it, in small letters."""
    return PurePosixPath(name).suffix.lower()


def named(names: list[str]) -> str:
    """Return the first names, and how many there are more."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


@cache
def tell(sentence: str) -> None:
    """Print what was done with the data and is no error, once in a process, on the first rank."""
    _print(f"note: {sentence}")


@rank_zero_only
def _print(line: str) -> None:
    print(line, file=sys.stderr)


def is_clutter(name: str) -> bool:
    """Tell whether a file or folder is hidden, or left behind by a file browser."""
    return any(part.startswith(".") or part in _CLUTTER for part in name.split("/"))
