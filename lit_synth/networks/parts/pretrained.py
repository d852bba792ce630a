"""Public ImageNet weights, from a file or from torchvision."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from lit_synth.errors import InputError

VGG16 = [[64, 64], [128, 128], [256, 256, 256], [512, 512, 512], [512, 512, 512]]
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of RGB in [0, 1]


def downloaded_vgg16() -> Mapping[str, Any]:
    """Return the state of torchvision's VGG16; InputError if it cannot be downloaded."""
    from torchvision.models import VGG16_Weights

    weights = VGG16_Weights.IMAGENET1K_V1
    try:
        return weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:  # no connection; a broken file
        raise InputError(
            f"VGG16's ImageNet weights could not be downloaded ({first_line(error)}): download "
            f"{weights.url} on a machine with internet and give the file's path as pretrained."
        ) from error


def read_state(path: Path) -> Mapping[str, Any]:
    """Return the state of a VGG16 in a file; InputError if it holds no state dict."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a file that is no state dict can fail in any way
        raise InputError(
            f"pretrained '{path}' cannot be read ({first_line(error)}): give 'imagenet' or the "
            f"path of a state dict of torchvision's VGG16."
        ) from error


def first_line(error: Exception) -> str:
    """Return the first line of what an error says."""
    return (str(error) or repr(error)).splitlines()[0]
