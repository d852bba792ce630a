"""What DINOv2 and CLIP share: a vision transformer whose sizes are read off its weights."""

import hashlib
import pickle
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.features.random import as_rgb
from lit_synth.tensors.tensor_files import load_tensors

HEAD_DIM = 64  # in every size of both families
UNREADABLE = (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError)


def weights_of(path: Path, kind: str, expected: str) -> dict[str, Tensor]:
    """Return the tensors of a file, .safetensors or torch.save's; nothing in it is executed.

    Raises:
        InputError: If there is no such file, or it holds no tensors by name. The sentence says
            that weights of `kind` were wanted, and what was `expected`.
    """
    if not path.is_file():
        raise InputError(f"There is no file '{path}' of {kind} weights: expected {expected}.")
    try:
        state = load_file(path) if path.suffix == ".safetensors" else load_tensors(path)
        if isinstance(state, dict) and all(isinstance(value, Tensor) for value in state.values()):
            return state
        reason = "no tensors by name"
    except (OSError, SafetensorError, *UNREADABLE) as error:
        reason = (str(error) or repr(error)).splitlines()[0]
    raise InputError(f"'{path}' holds no {kind} weights ({reason}): expected {expected}.")


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file that may be larger than memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def transformer(state: dict[str, Tensor], path: Path, **options: Any) -> nn.Module:
    """Return timm's vision transformer with weights in it, under timm's names.

    Args:
        state: The weights; width, depth and size of the patches are theirs.
        path: What messages call the file.
        options: Go on to timm's `VisionTransformer`.

    Raises:
        InputError: If timm is not installed, or the weights do not fit.
    """
    try:
        from timm.models.vision_transformer import VisionTransformer
    except ImportError as error:
        raise InputError(
            "DINOv2 and CLIP are networks of timm, which is not installed: "
            "pip install 'lit-synth[features]'."
        ) from error
    try:
        width, _, patch, _ = state["patch_embed.proj.weight"].shape
        depth = 1 + max(int(key.split(".")[1]) for key in state if key.startswith("blocks."))
        with torch.device("meta"):
            network = VisionTransformer(
                patch_size=patch,
                embed_dim=width,
                depth=depth,
                num_heads=width // HEAD_DIM,
                global_pool="token",
                **options,
            )
        network.load_state_dict(state, assign=True)
        return network.float()
    except (KeyError, ValueError, RuntimeError, ZeroDivisionError) as error:
        reason = (str(error) or repr(error)).splitlines()[0]
        raise InputError(
            f"'{path}' does not fit a vision transformer of {len(state)} tensors ({reason})."
        ) from error


def seen(images: Tensor, size: int, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Return images (N, C, H, W) in [-1, 1] as the network (N, 3, size, size) takes them.

    Args:
        images: Grey ones are repeated to RGB.
        size: Height and width, to which they are stretched, bicubic and antialiased.
        mean: Mean of each channel of images in [0, 1].
        std: Standard deviation of each channel of these.
    """
    x = F.interpolate(as_rgb(images), (size, size), mode="bicubic", antialias=True)
    x = (x + 1).clamp(0, 2) / 2
    return (x - x.new_tensor(mean)[:, None, None]) / x.new_tensor(std)[:, None, None]
