"""Images in rows, and pixels as a file."""

import io

import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from lit_synth.tensors.pixels import as_uint8

LIGHT = 230  # grey of the lines between the images of a grid
TILE_PX = 64  # smaller images are enlarged by a whole factor to about this size


def grid(images: Tensor, columns: int) -> Tensor:
    """Return images (N, C, H, W) in [-1, 1] in rows with light lines between them, as 8 bits.

    Returns:
        Pixels (3, H', W'), uint8.
    """
    from torchvision.utils import make_grid  # a slow import

    factor = max(1, TILE_PX // images.shape[-1])
    tiles = F.interpolate(as_uint8(images.cpu()), scale_factor=factor, mode="nearest")
    return make_grid(tiles, nrow=columns, padding=2, pad_value=LIGHT)


def png(pixels: Tensor) -> bytes:
    """Return uint8 pixels (C, H, W), grey or RGB, as a PNG file."""
    array = pixels[0] if len(pixels) == 1 else pixels.permute(1, 2, 0)
    file = io.BytesIO()
    Image.fromarray(array.numpy()).save(file, "PNG", compress_level=1)
    return file.getvalue()
