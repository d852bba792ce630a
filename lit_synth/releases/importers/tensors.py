"""Tensors and arrays of a pickle, built by our own code from what the pickle says of them."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lit_synth.releases.importers.unpickling import Budget, Name, Record, RefusedError

STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
NUMPY = {
    "f2": torch.float16,
    "f4": torch.float32,
    "f8": torch.float64,
    "i1": torch.int8,
    "i2": torch.int16,
    "i4": torch.int32,
    "i8": torch.int64,
    "u1": torch.uint8,
    "b1": torch.bool,
}
MAX_DIMENSIONS = 8


def from_bytes(data: bytes, dtype: torch.dtype) -> Tensor:
    """Return the elements (n,) that bytes are."""
    if not data:
        return torch.empty(0, dtype=dtype)
    if len(data) % dtype.itemsize:
        raise ValueError("a storage that ends within an element")
    return torch.frombuffer(bytearray(data), dtype=dtype)


def whole(value: Any) -> int:
    """Return a number of something; ValueError unless it is one."""
    if type(value) is not int or not 0 <= value < 2**48:
        raise ValueError("a size that is none")
    return value


def sizes(value: Any) -> tuple[int, ...]:
    """Return the sizes of a tensor's dimensions, or its strides."""
    if not isinstance(value, tuple | list) or len(value) > MAX_DIMENSIONS:
        raise ValueError("sizes that are none")
    return tuple(whole(each) for each in value)


def view(storage: Any, offset: Any, size: Any, stride: Any, budget: Budget) -> Tensor:
    """Return a tensor over the elements (n,) of a storage; without elements its sizes go.

    Networks are built as large as tensors say, which then cannot be more than there is.

    Raises:
        RefusedError: It has more elements than the storage, or reaches beyond it.
    """
    if not isinstance(storage, Tensor):
        raise TypeError("a tensor without a storage")
    offset, size, stride = whole(offset), sizes(size), sizes(stride)
    if len(size) != len(stride):
        raise ValueError("as many sizes as strides")
    numel = math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if numel and (numel > storage.numel() or last >= storage.numel()):
        raise RefusedError(
            f"has a tensor of {numel} elements in a storage of {storage.numel()} elements"
        )
    budget.take(numel * storage.dtype.itemsize)
    return storage.as_strided(size, stride, offset) if numel else storage.new_empty(0)


def storage_type(value: Any) -> torch.dtype:
    """Return the type of a storage's elements, given the name of its class."""
    kind = value.path.rpartition(".")[2] if isinstance(value, Name) else None
    if kind not in STORAGES:
        raise RefusedError(f"has a storage of type {kind}")
    return STORAGES[kind]


class DtypeRecord(Record):
    """The type of an array's elements."""

    def build(self, state: Any) -> None:
        """Refuse all but plain little-endian numbers."""
        if not isinstance(state, tuple | list) or len(state) < 2 or state[1] not in ("<", "|", "="):
            raise RefusedError("has an array that is not of plain little-endian numbers")
        if any(each is not None for each in state[2:5]):
            raise RefusedError("has an array of structures")

    @property
    def dtype(self) -> torch.dtype:
        """Torch's name of it."""
        code = self.args[0] if self.args else None
        code = code.lstrip("<|=") if isinstance(code, str) else None
        if code not in NUMPY:
            raise RefusedError(f"has an array of type {str(code)[:20]}")
        return NUMPY[code]


class ArrayRecord(Record):
    """An array; its `tensor` is there once its state is.

    Args:
        budget: Of the file.
    """

    def __init__(self, budget: Budget) -> None:
        super().__init__("numpy.ndarray")
        self.budget = budget
        self.tensor: Tensor | None = None

    def build(self, state: Any) -> None:
        """Take version, shape, type, order and bytes."""
        if not isinstance(state, tuple) or len(state) != 5:
            raise ValueError("the state of an array")
        _, shape, dtype, fortran, data = state
        self.budget.take_for((data,))
        self.tensor = array(data, dtype, shape, fortran is True)


def array(data: Any, dtype: Any, shape: Any, fortran: bool) -> Tensor:
    """Return the tensor of an array's bytes; ValueError unless these are as many as it says."""
    if not isinstance(dtype, DtypeRecord):
        raise ValueError("an array without a type")
    if isinstance(data, str):  # of Python 2
        data = data.encode("latin-1")
    if not isinstance(data, bytes | bytearray):
        raise RefusedError("has an array of objects")
    shape = sizes(shape)
    if math.prod(shape) * dtype.dtype.itemsize != len(data):
        raise RefusedError(
            f"has an array of shape {shape} in {len(data)} bytes: its sizes are wrong"
        )
    flat = from_bytes(bytes(data), dtype.dtype)
    if not len(flat):
        return flat
    if fortran:
        return flat.reshape(shape[::-1]).permute(*reversed(range(len(shape))))
    return flat.reshape(shape)


def scalar(args: Sequence[Any]) -> int | float | bool:
    """Return numpy's number of a type and bytes."""
    dtype, data = args
    return array(data, dtype, (), fortran=False).item()


def as_tensor(value: Any) -> Tensor | None:
    """Return a tensor, or that of an array; None of anything else."""
    if isinstance(value, ArrayRecord):
        return value.tensor
    return value if isinstance(value, Tensor) else None
