"""What an imported release keeps beside its networks, so that the file can be had back."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from lit_synth.errors import InputError
from lit_synth.releases.importers.layout import Part

KEPT = "kept.safetensors"


def key_of(part: Part, key: str) -> str:
    """Return the name of a key of a file, wherever in the file its state dict was."""
    return f"{next(iter(part.networks))}/{key}"


def kept_tensors(release: Path) -> dict[str, Tensor]:
    """Return the tensors of a file of which no image depends, by `key_of`."""
    path = release / KEPT
    try:
        return load_file(path) if path.is_file() else {}
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
