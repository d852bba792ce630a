"""Making images from a method for looking at and for measuring, aside from its training."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torchvision.utils import make_grid

from lit_synth.contracts.data import Batch, Images
from lit_synth.contracts.translator import (
    HasAttention,
    HasLatents,
    HasSideInformation,
    ReadsStyles,
    Translation,
    Translator,
)
from lit_synth.errors import InputError
from lit_synth.method import Method
from lit_synth.tensors.pixels import as_uint8

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
    with _own_randomness(method.device):
        images = method.generate(batch)
    return _finite(images, "the generated images are").float()


@torch.no_grad()
def translate(method: Translator, x: Batch, translation: Translation) -> Tensor:
    """Return the target of scenes `x`, in float32 whatever precision the method is trained in.

    The global random generators are afterwards as they were.
    """
    with _own_randomness(_device(x)):
        made = method.translate(x, translation)
    return _finite(made, f"what {translation.name} makes is")


@torch.no_grad()
def swap(method: HasSideInformation, x: Batch, translation: Translation) -> Tensor:
    """Return the target of scenes `x`, made with the side information of other scenes."""
    with _own_randomness(_device(x)):
        made = method.swap(x, translation)
    return _finite(made, f"what {translation.name} makes of swapped side information is")


@torch.no_grad()
def latents(method: HasLatents, x: Batch) -> Batch:
    """Return the latents of scenes `x`, modality -> (N, ...)."""
    with _own_randomness(_device(x)):
        return method.latents(x)


@torch.no_grad()
def attention(method: HasAttention, x: Batch, translation: Translation) -> Tensor:
    """Return the share (N, 1, H, W) in [0, 1] of each pixel of scenes `x` that may change."""
    with _own_randomness(_device(x)):
        return method.attention(x, translation)


@torch.no_grad()
def read_styles(method: ReadsStyles, images: Tensor, domain: str) -> Tensor:
    """Return the styles (N, style_dim) of images of a domain, on the method's device."""
    with _own_randomness(images.device):
        return method.read_styles(images, domain)


def _device(x: Batch) -> torch.device:
    return next(iter(x.values())).device


@contextmanager
def _own_randomness(device: torch.device) -> Iterator[None]:
    """Compute in full precision, and leave the global random generators as they are."""
    with (
        torch.random.fork_rng([device] if device.type == "cuda" else []),
        torch.autocast(device.type, enabled=False),
    ):
        yield


def _finite(made: Tensor, what: str) -> Tensor:
    if not torch.isfinite(made).all():
        raise InputError(
            f"{what} not finite (NaN or infinite): training has diverged; go on from an earlier "
            "checkpoint with a lower learning rate, or in float32."
        )
    return made


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
