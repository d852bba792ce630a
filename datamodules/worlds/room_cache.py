"""Rendered pictures kept on disk, found by the hash of what they were made from."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from datamodules.splits import Batch


def cached(parameters: dict[str, object], sources: Sequence[Path], make: Callable[[], Batch]) -> Batch:
    """Return what `make` returns, from disk where it was made before.

    The key is the parameters and the source code that makes the tensors, so that changed code is
    never answered with its old output. A file that cannot be read is made again.

    Args:
        parameters: JSON-able; all that the output depends on.
        sources: Files of the code that `make` runs.
        make: Returns named tensors.
    """
    folder = Path(os.environ.get("LIT_SYNTH_CACHE") or Path.home() / ".cache" / "lit-synth") / "worlds"
    file = folder / f"{_key(parameters, sources)}.safetensors"
    try:
        return load_file(file)
    except (OSError, SafetensorError):
        tensors = make()
    _write(tensors, file)
    return tensors


def _key(parameters: dict[str, object], sources: Sequence[Path]) -> str:
    digest = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode())
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()[:32]


def _write(tensors: Batch, file: Path) -> None:
    """Write through a file of another name, so that readers see all of it or nothing."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=file.parent, suffix=".partial")
        os.close(handle)
    except OSError:
        return  # a cache that cannot be written only costs time
    try:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary)
        Path(temporary).replace(file)
    except (OSError, SafetensorError):
        Path(temporary).unlink(missing_ok=True)
