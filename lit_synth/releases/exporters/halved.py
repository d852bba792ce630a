"""A release in half precision: half the size, loaded like any other."""

import shutil
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from lit_synth.releases.format import find_release, read_release


def export_half(release: str | Path, out: Path) -> int:
    """Write a release with its weights in float16, and return how many tensors were halved.

    Whoever loads it computes in float32. All else in its folder, card and picture, goes along.

    Args:
        release: Folder, or name of a bundled release.
        out: Folder to write.
    """
    folder = find_release(release)
    _, tensors = read_release(folder)
    halves = {name: halved(tensor) for name, tensor in tensors.items()}
    shutil.copytree(folder, out)
    (out / "model.safetensors").write_bytes(save(halves))
    return sum(half.dtype != tensors[name].dtype for name, half in halves.items())


def halved(tensor: Tensor) -> Tensor:
    """Return a tensor of floats as float16, or as it is where one is beyond float16's range."""
    if not tensor.is_floating_point():
        return tensor
    half = tensor.to(torch.float16)
    return half if torch.equal(half.isfinite(), tensor.isfinite()) else tensor
