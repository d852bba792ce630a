"""Making images from a method for looking at and for measuring, aside from its training."""

import io

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torchvision.utils import make_grid

from lit_synth.callbacks.context import Batch, Images
from lit_synth.errors import InputError
from lit_synth.features.hashing import as_uint8
from lit_synth.method import Method

LIGHT = 230  # grey of the lines between the images of a grid
TILE_PX = 64  # smaller images are enlarged by a whole factor to about this size


def inputs(method: Method, real: Images, prior: Batch, first: int = 0) -> Batch:
    """Return what `generate` may ask for: a prior, and real images for those that translate.

    Args:
        method: Takes them on its device.
        real: Its images `first`, `first` + 1, ... are used, from the start again past the end.
        prior: What `method.prior` drew; it goes before what the real images come with.
        first: Position of the first real image.
    """
    n = len(next(iter(prior.values())))
    batch = {**real.fetch([(first + i) % len(real) for i in range(n)]), **prior}
    return {name: each.to(method.device) for name, each in batch.items()}


@torch.no_grad()
def draw(method: Method, batch: Batch) -> Tensor:
    """Return the images (N, C, H, W) of `method.generate`, float32 on the method's device.

    The global random generators are afterwards as they were, whatever `generate` does.
    """
    with torch.random.fork_rng([method.device] if method.device.type == "cuda" else []):
        images = method.generate(batch)
    if not torch.isfinite(images).all():
        raise InputError(
            "the generated images are not finite (NaN or infinite): training has diverged; go on "
            "from an earlier checkpoint with a lower learning rate, or in float32."
        )
    return images.float()


def grid(images: Tensor, columns: int) -> Tensor:
    """Return images (N, C, H, W) in [-1, 1] in rows with light lines between them, as 8 bits.

    Returns:
        Pixels (3, H', W'), uint8.
    """
    factor = max(1, TILE_PX // images.shape[-1])
    tiles = F.interpolate(as_uint8(images.cpu()), scale_factor=factor, mode="nearest")
    return make_grid(tiles, nrow=columns, padding=2, pad_value=LIGHT)


def png(pixels: Tensor) -> bytes:
    """Return uint8 pixels (C, H, W), grey or RGB, as a PNG file."""
    array = pixels[0] if len(pixels) == 1 else pixels.permute(1, 2, 0)
    file = io.BytesIO()
    Image.fromarray(array.numpy()).save(file, "PNG", compress_level=1)
    return file.getvalue()
