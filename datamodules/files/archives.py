"""Where image files lie: a directory tree or a zip archive, read alike."""

import os
import zipfile
from abc import ABC, abstractmethod
from pathlib import Path

from datamodules.errors import DataError

LABEL_FILE = "dataset.json"
_CLUTTER = {"__MACOSX", "Thumbs.db", "desktop.ini"}


class Source(ABC):
    """A named collection of files.

    Hidden files and the clutter of file browsers are left out.

    Attributes:
        root: The directory or archive.
        names: Relative paths with forward slashes, sorted, without `dataset.json`.
        folders: Folders of the first level, sorted, also empty ones.
        has_labels: Whether there is a `dataset.json`.
    """

    def __init__(self, root: Path, names: list[str], folders: set[str]) -> None:
        kept = [name for name in names if not _is_clutter(name)]
        self.root = root
        self.names = sorted(name for name in kept if name != LABEL_FILE)
        self.folders = sorted(folder for folder in folders if not _is_clutter(folder))
        self.has_labels = LABEL_FILE in kept

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Return the bytes of a file; safe in several threads and processes."""


class Directory(Source):
    """All files under a directory, at any depth; links to folders are followed once."""

    def __init__(self, root: Path) -> None:
        names: list[str] = []
        seen: set[str] = set()
        for folder, inner, files in os.walk(root, followlinks=True):
            real = os.path.realpath(folder)
            if real in seen:  # a link back up would never end
                inner.clear()
                continue
            seen.add(real)
            names += [(Path(folder) / file).relative_to(root).as_posix() for file in files]
        super().__init__(root, names, {entry.name for entry in root.iterdir() if entry.is_dir()})

    def read(self, name: str) -> bytes:
        return (self.root / name).read_bytes()


class Archive(Source):
    """The files of a zip archive, read in place."""

    def __init__(self, root: Path) -> None:
        self._opened: tuple[int, zipfile.ZipFile] | None = None
        try:
            with zipfile.ZipFile(root) as archive:
                entries = archive.namelist()
        except zipfile.BadZipFile as error:
            raise DataError(f"{root} is not a readable zip archive: {error}.") from error
        files = [entry for entry in entries if not entry.endswith("/")]
        super().__init__(root, files, {e.split("/")[0] for e in entries if "/" in e})

    def read(self, name: str) -> bytes:
        # A forked worker must not share the file position of its parent.
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = os.getpid(), zipfile.ZipFile(self.root)
        return self._opened[1].read(name)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_opened": None}


def open_source(root: Path) -> Source:
    """Return the files of a directory or zip archive; there must be some."""
    if not root.exists():
        raise DataError(f"{root} does not exist; give a folder of images or a zip archive of them.")
    source = Directory(root) if root.is_dir() else Archive(root)
    if not source.names:
        raise DataError(f"{root} holds no files; give a folder or zip archive with images.")
    return source


def _is_clutter(name: str) -> bool:
    return any(part.startswith(".") or part in _CLUTTER for part in name.split("/"))
