"""Files that a reader, a crash or a full disk never meets half of."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lit_synth.errors import InputError


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn a failure to write into one sentence."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written ({error.strerror}): what was saved before is kept; make "
            "room or make it writable and give the same command, or choose another --runs_dir."
        ) from error


def write_atomically(path: Path, data: bytes | memoryview, keep: Path | None = None) -> None:
    """Write a file so that a reader, a crash or a full disk never meets half of it.

    Args:
        path: Written in full, or left as it was; its folder is made if missing.
        data: The contents.
        keep: Where the file that is replaced moves to, if there is one; None drops it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)  # a link there would be followed
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    if keep is not None and path.exists():
        os.replace(path, keep)
    os.replace(partial, path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
