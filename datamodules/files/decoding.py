"""From the bytes of an image file to pixels of one size and one number of channels."""

import io
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

Resize = Literal["crop", "stretch"]
Size = int | tuple[int, int]  # the side of a square, or height and width, in pixels
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
        if Image.MAX_IMAGE_PIXELS and image.width * image.height > Image.MAX_IMAGE_PIXELS:
            raise Image.DecompressionBombError
        image.load()
        upright = ImageOps.exif_transpose(image)
    except UnidentifiedImageError as error:
        if data[4:8] == b"ftyp":
            raise UnreadableError("is HEIC or video, which is not read; export a JPEG") from error
        raise UnreadableError("is not an image") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadableError(
            f"has more than the {Image.MAX_IMAGE_PIXELS} pixels that are decoded"
        ) from error
    except Exception as error:  # decoders raise what they like on damaged data
        raise UnreadableError(f"is corrupt ({error})") from error
    if upright.mode == "F":
        raise UnreadableError("has floating-point pixels, whose range is unknown")
    if upright.mode == "LAB":
        raise UnreadableError("has Lab colours, which are not read; export it as RGB")
    return upright


def kind_of(image: Image.Image) -> Kind:
    """Return what an image's pixels are; images of one kind need the same conversion."""
    if image.mode.startswith("I"):
        return "16-bit grey"
    if image.has_transparency_data:
        return "transparent"
    return "grey" if image.mode in ("1", "L") else "colour"


def sides(size: Size) -> tuple[int, int]:
    """Return height and width in pixels."""
    return (size, size) if isinstance(size, int) else size


def to_pixels(image: Image.Image, size: Size, channels: int, resize: Resize) -> Tensor:
    """Return uint8 pixels (C, H, W), `size` large.

    Transparent pixels show white; 16-bit values are divided by 257; colour becomes grey by
    Rec. 601 luma and grey becomes colour by repetition.
    """
    flat = flatten(image).convert("L" if channels == 1 else "RGB")
    lanczos = Image.Resampling.LANCZOS
    height, width = sides(size)
    if flat.size == (width, height):
        fitted = flat
    elif resize == "crop":
        fitted = ImageOps.fit(flat, (width, height), lanczos)
    else:
        fitted = flat.resize((width, height), lanczos)
    pixels = torch.from_numpy(np.array(fitted))
    return pixels.reshape(height, width, channels).permute(2, 0, 1).contiguous()


def flatten(image: Image.Image) -> Image.Image:
    """Return an image of 8 bits without transparency, whatever its colours are."""
    kind = kind_of(image)
    if kind == "transparent":
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    if kind == "16-bit grey":
        values = np.asarray(image).astype(np.float64) / 257
        return Image.fromarray(values.round().clip(0, 255).astype(np.uint8))
    return image
