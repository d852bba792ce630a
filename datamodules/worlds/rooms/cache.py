"""Rendered pictures kept on disk, found by the hash of what they were made from."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from datamodules.items.cache import cache_folder
from datamodules.items.splits import Batch, content_hash


def cached(
    parameters: dict[str, object], sources: Sequence[Path], make: Callable[[], Batch]
) -> Batch:
    """Return what `make` returns, from disk where it was made before.

    The key is the parameters and the source code that makes the tensors, so that changed code is
    never answered with its old output. A file that is not whole is made again.

    Args:
        parameters: JSON-able; all that the output depends on.
        sources: Files of the code that `make` runs.
        make: Returns named tensors.
    """
    file = cache_folder() / "worlds" / f"{_key(parameters, sources)}.safetensors"
    tensors = _read(file)
    if tensors is None:
        tensors = make()
        _write(tensors, file)
    return tensors


def _key(parameters: dict[str, object], sources: Sequence[Path]) -> str:
    digest = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode())
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()[:32]


def _read(file: Path) -> Batch | None:
    try:
        with safe_open(file, "pt") as stored:
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - no mapping
            expected = (stored.metadata() or {}).get("sha256")
    except (OSError, SafetensorError):
        return None  # not there, or broken
    return tensors if content_hash(tensors) == expected else None


def _write(tensors: Batch, file: Path) -> None:
    """Write under another name first, so that readers see all of the file or nothing."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent) as folder:
            whole = Path(folder) / file.name
            solid = {name: tensor.contiguous() for name, tensor in tensors.items()}
            save_file(solid, whole, {"sha256": content_hash(tensors)})
            whole.replace(file)
    except (OSError, SafetensorError):
        return  # a full or read-only disk costs time, not the run
