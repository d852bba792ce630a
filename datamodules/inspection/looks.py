"""One look at each file: whether it can be read, what it is, and what it resembles."""

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image, ImageOps

from datamodules.files.archives import ARRAY_SUFFIXES, Source, suffix_of
from datamodules.files.decoding import UnreadableError, flatten, open_image
from datamodules.items.modalities import IGNORE

THUMB = 8  # side in pixels of the small pictures that are compared
MOST_IDS = 64  # more values than these are no classes

_SMALL = (64, 64)  # a JPEG is decoded at an eighth to a half of its size, but not below this
_FLAT = 8  # of 255: an image whose values are not further apart shows nothing
_TURNED, _SIDEWAYS = range(2, 9), range(5, 9)  # values of EXIF's orientation
_ORIENTATION = 0x0112
_LOSSY = ("JPEG", "MPO", "JPEG2000", "WEBP")
_CHUNK = 256  # files that wait for the threads


@dataclass(frozen=True)
class Look:
    """What one file is.

    Attributes:
        name: Path of the file, relative to the folder.
        n_bytes: Size of the file.
        sha256: Hash of its content.
        problem: Why it cannot be read, completing '<name> ...'; None if it can.
        size: Width and height of the upright picture in pixels.
        pixels: `grey`, `16-bit grey`, `RGB`, `RGBA`, `palette`, `CMYK`, `float` or as Pillow says.
        turned: Does EXIF turn it?
        spread: How far apart its values are, 0 to 255, in the channel where they are farthest.
        thumb: uint8 (8, 8, 3) of the whole picture; None where there is none.
        gradient: Whether the picture grows brighter from left to right, in 8x8 places: 64 bits.
        ids: The values of a picture stored without loss, if there are few; None: not few.
    """

    name: str
    n_bytes: int
    sha256: str
    problem: str | None = None
    size: tuple[int, int] = (0, 0)
    pixels: str = ""
    turned: bool = False
    spread: int = 255
    thumb: np.ndarray | None = None
    gradient: int = 0
    ids: tuple[int, ...] | None = None

    @property
    def flat(self) -> bool:
        """Is it of one colour, or nearly?"""
        return self.spread <= _FLAT


_PIXELS = {
    "1": "grey", "L": "grey", "LA": "grey and alpha", "P": "palette", "PA": "palette",
    "F": "float",
}  # fmt: skip


def look_at(source: Source, names: Sequence[str]) -> Iterator[Look]:
    """Yield a look at each file, in order, in a pool of threads; each file is read once."""
    with ThreadPoolExecutor(min(16, 2 * (os.cpu_count() or 1))) as pool:
        for start in range(0, len(names), _CHUNK):
            chunk = names[start : start + _CHUNK]
            yield from pool.map(partial(_read, source), chunk)


def _read(source: Source, name: str) -> Look:
    try:
        return look(name, source.read(name))
    except Exception as error:  # no permission, or an archive that is damaged or encrypted
        return Look(name, 0, "", problem=f"cannot be read ({error})")


def look(name: str, data: bytes) -> Look:
    """Judge the bytes of a file."""
    known = Look(name, len(data), hashlib.sha256(data).hexdigest())
    try:
        if suffix_of(name) in ARRAY_SUFFIXES:
            return _array(known, data)
        return _picture(known, data)
    except UnreadableError as error:
        return Look(name, known.n_bytes, known.sha256, problem=str(error))


def _picture(known: Look, data: bytes) -> Look:
    image = _opened(data)
    turn = image.getexif().get(_ORIENTATION)
    width, height = image.size
    pixels = "16-bit grey" if image.mode.startswith("I") else _PIXELS.get(image.mode, image.mode)
    stored, values = image.format, None
    if image.format == "JPEG":
        image.draft(image.mode, _SMALL)  # the same data are read, and fewer pixels made of them
    image = _loaded(image, data)
    if stored not in _LOSSY and (image.mode in ("1", "L", "P") or image.mode.startswith("I")):
        values = _few(image)
    thumb, gradient, spread = _small(image)
    return Look(
        known.name,
        known.n_bytes,
        known.sha256,
        size=(height, width) if turn in _SIDEWAYS else (width, height),
        pixels=pixels,
        turned=turn in _TURNED,
        spread=spread,
        thumb=thumb,
        gradient=gradient,
        ids=values,
    )


def _opened(data: bytes) -> Image.Image:
    image: Image.Image
    try:
        image = Image.open(io.BytesIO(data))
        image.getexif()
    except Exception:  # decoders raise what they like; ours says what is wrong
        image = open_image(data)
    if image.mode == "LAB":
        open_image(data)  # refuses it
    return image


def _loaded(image: Image.Image, data: bytes) -> Image.Image:
    try:
        image.load()
        return ImageOps.exif_transpose(image)
    except Exception:  # decoders raise what they like; ours says what is wrong
        return open_image(data)


def _few(image: Image.Image) -> tuple[int, ...] | None:
    """Return the values of a picture, None if there are too many for classes."""
    array = np.asarray(image)
    if array.dtype == np.uint8:
        values = np.flatnonzero(np.bincount(array.ravel(), minlength=256))
    else:
        values = np.unique(array)
    return tuple(int(value) for value in values) if len(values) <= MOST_IDS else None


def _small(image: Image.Image) -> tuple[np.ndarray, int, int]:
    """Return the thumb, its gradient, and the spread of a picture."""
    image = as_rgb(image)
    extremes = image.getextrema()
    # RGB has a pair for each band; Pillow's type allows a single pair too, as of grey.
    spread = max(int(high - low) for low, high in extremes)  # type: ignore[misc]  # see above
    triangle = Image.Resampling.BILINEAR  # whose average moves little with the picture's own size
    thumb = np.asarray(image.resize((THUMB, THUMB), triangle, reducing_gap=2))
    grey = np.asarray(image.convert("L").resize((THUMB + 1, THUMB), triangle, reducing_gap=2))
    bits = (grey[:, 1:] > grey[:, :-1]).ravel()
    return thumb, int.from_bytes(np.packbits(bits).tobytes()), spread


def as_rgb(image: Image.Image) -> Image.Image:
    """Return any picture in RGB: 16 bits divided by 257, floats by their largest."""
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image, dtype=np.float64))
        values *= 255 / max(values.max(), 1e-9)
        image = Image.fromarray(values.clip(0, 255).astype(np.uint8))
    return flatten(image).convert("RGB")


def _array(known: Look, data: bytes) -> Look:
    """Look at a NumPy file of depth."""
    try:
        stored = np.load(io.BytesIO(data), allow_pickle=False)
        array = stored if isinstance(stored, np.ndarray) else stored[stored.files[0]]
    except Exception as error:  # numpy raises what it likes on damaged data
        raise UnreadableError(f"is corrupt ({error})") from error
    array = np.squeeze(array)
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.floating):
        raise UnreadableError(f"holds {array.dtype} of shape {array.shape}; depth is floats (H, W)")
    size = (array.shape[1], array.shape[0])
    return Look(known.name, known.n_bytes, known.sha256, size=size, pixels="float")


def classes(looks: Sequence[Look]) -> dict[int, list[str]] | None:
    """Return label id -> files that have it; None: no label maps.

    255 is to be ignored, and is not returned, unless 0 is the only other id: a mask of two.
    """
    files: dict[int, list[str]] = {}
    for each in looks:
        if each.ids is None:
            return None
        for value in each.ids:
            files.setdefault(value, []).append(each.name)
    if len(files) > MOST_IDS:
        return None
    if set(files) != {0, IGNORE}:
        files.pop(IGNORE, None)
    return dict(sorted(files.items()))
