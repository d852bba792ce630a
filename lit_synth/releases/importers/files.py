"""Files of weights: PyTorch's of today and of before 1.6, plain pickles, safetensors."""

import io
import mmap
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from lit_synth.errors import InputError
from lit_synth.releases.importers.makers import makers
from lit_synth.releases.importers.tensors import from_bytes, storage_type, whole
from lit_synth.releases.importers.unpickling import (
    Budget,
    BytesFile,
    Machine,
    Maker,
    RefusedError,
)

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
DAMAGED = (
    zipfile.BadZipFile,
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    StopIteration,
    EOFError,
    struct.error,
    ArithmeticError,
    AttributeError,
)

# Names of networks in public files, which safetensors have in front of the names of their tensors.
NETWORKS = ("g", "d", "g_ema", "G", "D", "G_ema", "netG", "netD", "avgG", "a", "b", "state_dict")


def read_weights(path: str | Path) -> Any:
    """Return what a file of weights holds: tensors, plain values and records of objects.

    Nothing in it is executed, see `unpickling`; it costs memory in proportion to its size.

    Raises:
        InputError: It is of no known kind, names what no public layout has, or is damaged.
    """
    path = Path(path)
    if not path.is_file() or path.stat().st_size == 0:
        raise InputError(f"'{path}' is no file of weights: give one, or a folder of BigGAN's.")
    with (
        told_of(path),
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        return _read(path, data)


@contextmanager
def told_of(path: Path) -> Iterator[None]:
    """Say in one sentence what of a file is refused or damaged."""
    try:
        yield
    except InputError:
        raise
    except RefusedError as error:
        raise InputError(
            f"{path} {error}, which no layout known here does; nothing of it was executed: save "
            "plain tensors, such as a state_dict, and import these."
        ) from error
    except SafetensorError as error:
        raise InputError(f"{path} is damaged ({error}): get the file again.") from error
    except DAMAGED as error:
        raise InputError(
            f"{path} is damaged or of no known kind ({type(error).__name__}: {str(error)[:100]}); "
            "expected a file of torch.save, a pickle or safetensors: get the file again."
        ) from error


def _read(path: Path, data: mmap.mmap) -> Any:
    budget = Budget(len(data))
    if data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(path) as archive:
            return _of_zip(archive, len(data), budget)
    if len(data) > 9 and data[8:9] == b"{" and struct.unpack("<Q", data[:8])[0] < len(data):
        return _nested(load_file(path))
    first = Machine(data, makers(budget, _blobs(budget)), _no_ids, budget).run()
    if isinstance(first, int) and first == LEGACY_MAGIC:
        data.seek(0)
        return _of_legacy(data, len(data), budget, _blobs(budget))
    return first


def _nested(flat: dict[str, Tensor]) -> dict[str, Any]:
    """Return tensors in dicts of the networks whose names begin their keys."""
    nested: dict[str, Any] = {}
    for key, tensor in flat.items():
        tensor = tensor if tensor.numel() else tensor.new_empty(0)  # as in other files
        first, _, rest = key.partition(".")
        if first in NETWORKS and rest:
            nested.setdefault(first, {})[rest] = tensor
        else:
            nested[key] = tensor
    return nested


def _no_ids(_: Any) -> Any:
    raise RefusedError("refers to objects outside of it (persistent ids)")


def _of_zip(archive: zipfile.ZipFile, size: int, budget: Budget) -> Any:
    entries = {info.filename: info for info in archive.infolist()}
    if any(info.compress_type != zipfile.ZIP_STORED for info in entries.values()) or (
        sum(info.file_size for info in entries.values()) > size
    ):
        raise RefusedError("is a compressed archive")
    pickles = [name for name in entries if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise RefusedError("is an archive without one data.pkl")
    prefix = pickles[0].removesuffix("data.pkl")
    order = f"{prefix}byteorder"
    if order in entries and archive.read(order) != b"little":
        raise RefusedError("is of a big-endian machine")
    storages: dict[str, Tensor] = {}

    def persistent(given: Any) -> Tensor:
        dtype, key, numel, _ = _storage_id(given)
        if key not in storages:
            storages[key] = from_bytes(archive.read(f"{prefix}data/{key}"), dtype)
        if storages[key].numel() != numel or storages[key].dtype != dtype:
            raise RefusedError(f"says of storage {key} that it has {numel} elements")
        return storages[key]

    data = io.BytesIO(archive.read(pickles[0]))
    return Machine(data, makers(budget, _blobs(budget)), persistent, budget).run()


def _blobs(budget: Budget) -> Maker:
    """Return what reads the bytes of a storage within a pickle, a file of its own."""

    def blob(args: tuple[Any, ...]) -> Any:
        (data,) = args
        if not isinstance(data, bytes):
            raise RefusedError("has a storage that is not of bytes")
        return _of_legacy(io.BytesIO(data), len(data), budget, _no_blobs)

    return blob


def _no_blobs(_: tuple[Any, ...]) -> Any:
    raise RefusedError("has files within files")


def _of_legacy(file: BytesFile, size: int, budget: Budget, blob: Maker) -> Any:
    """Read magic number, protocol, system, the object, then the storages that it refers to."""

    def run(persistent: Callable[[Any], Any] = _no_ids) -> Any:
        return Machine(file, makers(budget, blob), persistent, budget).run()

    magic, protocol, system = run(), run(), run()
    if magic != LEGACY_MAGIC or protocol != LEGACY_PROTOCOL:
        raise RefusedError("is of a version of PyTorch that is not known")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise RefusedError("is of a big-endian machine")
    storages: dict[str, Tensor] = {}
    room = [size]

    def persistent(given: Any) -> Tensor:
        dtype, key, numel, part = _storage_id(given)
        if key not in storages:
            room[0] -= numel * dtype.itemsize
            if room[0] < 0:
                raise RefusedError("says of its storages that they are larger than the file")
            storages[key] = torch.zeros(numel, dtype=dtype)
        if storages[key].numel() != numel or storages[key].dtype != dtype:
            raise RefusedError(f"says of storage {key} that it has {numel} elements")
        return storages[key] if part is None else _part(storages[key], part)

    value = run(persistent)
    keys = run()
    named = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
    if not named or sorted(keys) != sorted(storages):
        raise RefusedError("lacks some of its storages")
    for key in keys:
        _fill(storages[key], file)
    return value


def _fill(storage: Tensor, file: BytesFile) -> None:
    (numel,) = struct.unpack("<q", file.read(8))
    data = file.read(storage.numel() * storage.dtype.itemsize)
    if numel != storage.numel() or len(data) != numel * storage.dtype.itemsize:
        raise RefusedError("has a storage of another size than it says, or ends too early")
    storage.copy_(from_bytes(data, storage.dtype))


def _part(storage: Tensor, given: Any) -> Tensor:
    _, offset, numel = given
    if whole(offset) + whole(numel) > storage.numel():
        raise RefusedError("has a part of a storage that is larger than it")
    return storage[offset : offset + numel]


def _storage_id(given: Any) -> tuple[torch.dtype, str, int, Any]:
    """Return type, key, number of elements and part of a persistent id of torch.save."""
    if not isinstance(given, tuple) or len(given) not in (5, 6) or given[0] != "storage":
        raise RefusedError("refers to objects outside of it (persistent ids)")
    _, kind, key, _, numel, *part = given
    if not isinstance(key, str) or not key.isalnum():
        raise RefusedError("has a storage without a name")
    return storage_type(kind), key, whole(numel), part[0] if part else None
