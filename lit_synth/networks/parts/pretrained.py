"""Public weights of classifiers: read from a file or downloaded, never executed."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from torch import Tensor

from lit_synth.errors import InputError
from lit_synth.tensors.tensor_files import load_tensors

VGG16 = [[64, 64], [128, 128], [256, 256, 256], [512, 512, 512], [512, 512, 512]]
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of RGB in [0, 1]
VGG_FACE_MEAN = (129.1863, 104.7624, 93.5940)  # of RGB in 0..255


def downloaded(name: str, published: Any, argument: str) -> Mapping[str, Any]:
    """Return ImageNet's weights of a torchvision model, from torchvision's cache or its server.

    Args:
        name: Name of the model.
        published: Member of torchvision's enumeration of its weights.
        argument: Setting that takes a path instead.

    Raises:
        InputError: The weights cannot be downloaded.
    """
    try:
        return published.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:  # no connection; a broken file
        raise InputError(
            f"ImageNet's weights of {name} could not be downloaded ({first_line(error)}): "
            f"download {published.url} on a machine with internet and give the file's path as "
            f"{argument}."
        ) from error


def read_state(path: Path, argument: str, expected: str) -> Mapping[str, Any]:
    """Return the state dict in a file.

    Args:
        path: Path of the file.
        argument: Setting that names the file.
        expected: What the file should be, in words.

    Raises:
        InputError: The file is missing, or holds something else than tensors by name.
    """
    try:
        state = load_tensors(path)
    except Exception as error:  # a file that is no state dict can fail in any way
        raise InputError(
            f"{argument} '{path}' cannot be read ({first_line(error)}): give {expected}."
        ) from error
    if not isinstance(state, Mapping) or not all(isinstance(x, Tensor) for x in state.values()):
        raise InputError(f"{argument} '{path}' is no state dict: give {expected}.")
    return state


def read_vgg_face(path: Path, argument: str, layers: list[str]) -> dict[str, Tensor]:
    """Return weights and biases of VGG-Face (Parkhi, Vedaldi, Zisserman 2015), float32.

    Args:
        path: State dict (.pth) with the official names, `conv1_1.weight`, ..., `fc8.bias`,
            as the conversion vgg_face_dag of the authors' network has them.
        argument: Setting that names the file.
        layers: Layers that are needed; others are left out.

    Raises:
        InputError: The file cannot be read, or lacks a layer.
    """
    expected = "VGG-Face as a state dict with conv1_1.weight to conv5_3.bias (vgg_face_dag.pth)"
    state = read_state(path, argument, expected)
    keys = [f"{layer}.{part}" for layer in layers for part in ("weight", "bias")]
    if missing := [key for key in keys if key not in state]:
        raise InputError(f"{argument} '{path}' has no {missing[0]}: give {expected}.")
    return {key: state[key].float() for key in keys}


def vgg_face_convolutions() -> dict[str, tuple[int, int]]:
    """Return VGG-Face's convolutions: official name -> input and output channels."""
    names = [f"conv{b}_{i}" for b, block in enumerate(VGG16, 1) for i in range(1, len(block) + 1)]
    return dict(
        zip(names, pairwise([3, *(width for block in VGG16 for width in block)]), strict=True)
    )


def first_line(error: Exception) -> str:
    """Return the first line of what an error says."""
    return (str(error) or repr(error)).splitlines()[0]
