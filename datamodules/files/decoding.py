"""From the bytes of an image file to pixels of one size and one number of channels."""

import io
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

Resize = Literal["crop", "stretch"]
Kind = Literal["grey", "16-bit grey", "colour", "transparent"]

RESIZE_RULES: dict[Resize, str] = {
    "crop": "central square, resized by PIL Lanczos (antialiased), 8 bits",
    "stretch": "whole image stretched to a square by PIL Lanczos (antialiased), 8 bits",
}


class UnreadableError(Exception):
    """A file that is no usable image; the message completes '<name> ...'."""


def open_image(data: bytes) -> Image.Image:
    """Decode a whole file and turn it upright; raise `UnreadableError` if that fails."""
    if not data:
        raise UnreadableError("is empty")
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
        upright = ImageOps.exif_transpose(image)
    except UnidentifiedImageError as error:
        raise UnreadableError("is not an image") from error
    except Exception as error:  # decoders raise what they like on damaged data
        raise UnreadableError(f"is corrupt ({error})") from error
    if upright.mode == "F":
        raise UnreadableError("has floating-point pixels, whose range is unknown")
    return upright


def kind_of(image: Image.Image) -> Kind:
    """Return what an image's pixels are; images of one kind need the same conversion."""
    if image.has_transparency_data:
        return "transparent"
    if image.mode.startswith("I"):
        return "16-bit grey"
    return "grey" if image.mode in ("1", "L") else "colour"


def to_pixels(image: Image.Image, size: int, channels: int, resize: Resize) -> Tensor:
    """Return uint8 pixels (C, size, size).

    Transparent pixels show white; 16-bit values are divided by 257; colour becomes grey by
    Rec. 601 luma and grey becomes colour by repetition.
    """
    flat = _flatten(image).convert("L" if channels == 1 else "RGB")
    lanczos = Image.Resampling.LANCZOS
    if flat.size == (size, size):
        fitted = flat
    elif resize == "crop":
        fitted = ImageOps.fit(flat, (size, size), lanczos)
    else:
        fitted = flat.resize((size, size), lanczos)
    pixels = torch.from_numpy(np.array(fitted))
    return pixels.reshape(size, size, channels).permute(2, 0, 1).contiguous()


def _flatten(image: Image.Image) -> Image.Image:
    kind = kind_of(image)
    if kind == "transparent":
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    if kind == "16-bit grey":
        values = np.asarray(image).astype(np.float64) / 257
        return Image.fromarray(values.round().clip(0, 255).astype(np.uint8))
    return image
