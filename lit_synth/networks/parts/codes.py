"""Codes with side information: what encoders hand to decoders of other modalities."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.errors import InputError


class Code(NamedTuple):
    """What an encoder says of images.

    Attributes:
        h: Latents (N, C, h, w), after the last pool.
        indices: For each pool, first to last, where its maxima were: int64 of its output's shape,
            positions in the flattened plane.
        skips: For each pool, first to last, what entered it.
    """

    h: Tensor
    indices: list[Tensor]
    skips: list[Tensor]


def split_code(code: Code, sizes: list[int]) -> list[Code]:
    """Return the codes of consecutive parts of a batch.

    Args:
        code: Of the batch.
        sizes: Images of each part.
    """
    indices = zip(*(torch.split(level, sizes) for level in code.indices), strict=True)
    skips = zip(*(torch.split(level, sizes) for level in code.skips), strict=True)
    parts = zip(torch.split(code.h, sizes), indices, skips, strict=True)
    return [Code(h, list(i), list(s)) for h, i, s in parts]


def join_codes(codes: list[Code]) -> Code:
    """Return one code of all images, in order.

    Args:
        codes: Of one encoder's architecture.
    """
    return Code(
        torch.cat([code.h for code in codes]),
        [torch.cat(level) for level in zip(*(code.indices for code in codes), strict=True)],
        [torch.cat(level) for level in zip(*(code.skips for code in codes), strict=True)],
    )


def unpool(h: Tensor, positions: Tensor) -> Tensor:
    """Put each value where a 2x2 max-pool took its maximum, and 0 elsewhere.

    Args:
        h: Features (N, C, h, w).
        positions: The pool's indices (N, C, h, w).

    Returns:
        Features (N, C, 2h, 2w).
    """
    # Autocast would widen to float32 what only moves.
    with torch.autocast(h.device.type, enabled=False):
        return F.max_unpool2d(h, positions, (2, 2))


def check_size(x: Tensor, multiple: int) -> None:
    """Refuse images that cannot be halved as often as an encoder pools.

    Args:
        x: Images (N, C, H, W).
        multiple: What height and width must be multiples of.

    Raises:
        InputError: If they are not.
    """
    height, width = x.shape[-2:]
    if height % multiple or width % multiple:
        nearest = max(round(height / multiple), 1) * multiple
        raise InputError(
            f"an image of {height}x{width} px cannot be halved {multiple.bit_length() - 1} times: "
            f"resize images to multiples of {multiple}, e.g. by --data.init_args.image_size "
            f"{nearest}, or give the encoder fewer blocks."
        )


def check_code(code: Code, enlargements: int) -> None:
    """Refuse the code of an encoder that pools more or less often than a decoder enlarges.

    Args:
        code: An encoder's code.
        enlargements: How often the decoder enlarges.

    Raises:
        InputError: If the numbers differ.
    """
    if len(code.indices) != enlargements:
        raise InputError(
            f"a decoder that enlarges {enlargements} times got the code of an encoder with "
            f"{len(code.indices)} pools: build both with the same blocks."
        )


def init_he(network: nn.Module, slope: float = 0.0) -> None:
    """Draw weights from He's normal (arXiv:1502.01852); biases are 0.

    Args:
        network: Network whose convolutions are initialised in place.
        slope: Of the LeakyReLU after them; 0 for ReLU.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, a=slope)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
