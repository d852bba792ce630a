"""Files of anybody's tensors, read so that nothing in them is executed."""

import pickle
from pathlib import Path
from typing import Any

import torch


def load_tensors(path: str | Path, mmap: bool = False) -> Any:
    """Return what `torch.save` has written to a file, on the CPU.

    Raises:
        UnpicklingError: It holds anything but tensors and plain values.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:  # whose own advice is to let the file execute code
        raise pickle.UnpicklingError(
            "holds more than tensors and plain values, and such a file could execute code"
        ) from error
