"""One picture of a scene in a file: images, depth maps and label maps, read and written."""

import colorsys
import io
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from datamodules.errors import DataError
from datamodules.files.archives import MOST_BYTES, read_file
from datamodules.files.decoding import Resize, Size, UnreadableError, open_image, sides, to_pixels
from datamodules.items.modalities import IGNORE, UNKNOWN, Kind, Modality

ModalitySpec = dict[str, Any]  # {kind, channels, ...}: what a YAML file can say

MM_PER_M = 1000

_NPY, _NPZ = b"\x93NUMPY", b"PK\x03\x04"
_SIXTEEN_BITS = ("I", "I;16", "I;16B", "I;16L", "I;16N")
_LOSSY = ("JPEG", "MPO", "JPEG2000")
_MOST = 65535  # that 16 bits hold
_LISTED = 5
_FIELDS = ("kind", "channels", "class_names", "palette", "label", "label_map", "per_metre")


@dataclass(frozen=True)
class FileModality(Modality):
    """A modality whose pictures lie in files.

    Attributes:
        label_map: Label in the files -> class or 255; None: they say the classes themselves.
        per_metre: Values of depth in whole numbers, e.g. of 16-bit PNGs, per metre.
    """

    label_map: Mapping[int, int] | None = None
    per_metre: float = MM_PER_M

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, known in (("class_names", self.class_names), ("palette", self.palette)):
            if known and len(known) != self.channels:
                raise DataError(
                    f"{name} has {len(known)} entries for {self.channels} channels; give one for "
                    "each class."
                )
        if self.per_metre <= 0:
            raise DataError(f"per_metre is {self.per_metre}; give a positive number.")
        if self.kind == "image" and self.channels not in (1, 3):
            raise DataError(f"An image has {self.channels} channels; files have 1 (grey) or 3.")
        wrong = set((self.label_map or {}).values()) - {*range(self.channels), IGNORE}
        if wrong:
            raise DataError(
                f"label_map maps to {min(wrong)}; map to a class, 0 to {self.channels - 1}, or to "
                f"{IGNORE} to be ignored."
            )


def declare(name: str, spec: ModalitySpec) -> FileModality:
    """Return the modality that a configuration declares.

    Args:
        name: Of the modality, for messages.
        spec: Values of `FileModality` by name. `kind` is image where it is left out, `channels` 3
            of an image, and of labels the number of `class_names`.
    """
    unknown = sorted(set(spec) - set(_FIELDS))
    if unknown:
        raise DataError(
            f"The modality {name} has {unknown[0]!r}; it can have {', '.join(_FIELDS)}."
        )
    kind = spec.get("kind", "image")
    if kind not in get_args(Kind):
        raise DataError(
            f"The modality {name} is of kind {kind!r}; give one of {', '.join(get_args(Kind))}."
        )
    channels = {"image": 3, "depth": 1, "labels": len(spec.get("class_names", ()))}[kind]
    label_map = spec.get("label_map")
    lists = {
        "class_names": tuple(spec.get("class_names", ())),
        "palette": tuple(tuple(colour) for colour in spec.get("palette", ())),
        "label_map": label_map and {int(label): int(c) for label, c in label_map.items()},
    }
    try:
        return FileModality(**{"kind": kind, "channels": channels, **spec, **lists})
    except DataError as error:
        raise DataError(f"The modality {name}: {error}") from error


def read_modality(
    file: Path | bytes,
    name: str,
    modality: Modality,
    size: Size,
    resize: Resize = "crop",
) -> Tensor:
    """Read one picture in the form in which `MemoryScenes` stores it.

    Args:
        file: A path, or what the file holds.
        name: What messages call it.
        modality: What the picture is.
        size: Side in pixels, or height and width; images are resized by Lanczos, depth and
            labels by nearest neighbour.
        resize: `crop` takes the central square, `stretch` the whole picture.

    Returns:
        uint8 (C, H, W) of an image, float32 (1, H, W) metres of depth, uint8 (H, W) of labels.

    Raises:
        DataError: The file cannot be used; the message says why.
    """
    try:
        data = read_file(file) if isinstance(file, Path) else file
        return fit(decode(data, modality), modality, size, resize)
    except UnreadableError as error:
        raise DataError(f"{name} {error}; replace or remove it.") from error


def decode(data: bytes, modality: Modality) -> Image.Image:
    """Decode a whole file in its own size and turn it upright.

    Returns:
        An image as it is; depth in metres in PIL's mode F; labels as classes in mode L.

    Raises:
        UnreadableError: The message completes '<name> ...'.
    """
    if modality.kind == "depth":
        return _decode_depth(data, modality)
    if modality.kind == "labels":
        return _decode_labels(data, modality)
    return open_image(data)


def fit(picture: Image.Image, modality: Modality, size: Size, resize: Resize) -> Tensor:
    """Return a decoded picture at a size, in the form in which `MemoryScenes` stores it."""
    if modality.kind == "image":
        return to_pixels(picture, size, modality.channels, resize)
    nearest = Image.Resampling.NEAREST
    height, width = sides(size)
    if resize == "crop":
        fitted = ImageOps.fit(picture, (width, height), nearest)
    else:
        fitted = picture.resize((width, height), nearest)
    values = torch.from_numpy(np.array(fitted))
    return values[None] if modality.kind == "depth" else values


def write_modality(path: Path, modality: Modality, values: Tensor) -> Path:
    """Write one picture in a form that `read_modality` reads.

    Images and depth become PNGs of 8 bits and of 16 bits in millimetres, labels a PNG with a
    palette. Depth beyond what 16 bits hold, 65.535 m, becomes a .npy in metres.

    Args:
        path: Of the file without its suffix.
        modality: What the picture is.
        values: As a data module gives them, without the batch: an image (C, H, W) in [-1, 1],
            depth (1, H, W) in metres, labels (H, W).

    Returns:
        The path of the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    values = values.detach().cpu()
    if modality.kind == "depth" and round(float(values.max()) * MM_PER_M) > _MOST:
        written = _with_suffix(path, ".npy")
        np.save(written, values[0].float().numpy())
        return written
    picture = {"image": _image, "depth": _millimetres, "labels": _indexed}[modality.kind]
    written = _with_suffix(path, ".png")
    picture(values, modality).save(written)
    return written


def _with_suffix(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)  # a stem may have a dot


def _floats(data: bytes) -> np.ndarray | None:
    """Return floating-point pixels, which `open_image` refuses; None if there are none."""
    try:
        image = Image.open(io.BytesIO(data))
        return np.asarray(image, dtype=np.float32) if image.mode == "F" else None
    except Exception:  # decoders raise what they like; `open_image` says what is wrong
        return None


def _decode_depth(data: bytes, modality: Modality) -> Image.Image:
    metres = _metres(data, modality.per_metre if isinstance(modality, FileModality) else MM_PER_M)
    if np.isnan(metres).any() or np.isinf(metres).any():
        raise UnreadableError("has depths that are NaN or infinite; unknown depth is 0")
    if metres.min() < 0:
        raise UnreadableError(
            f"has a depth of {metres.min():g} m; depth is positive, or 0: unknown"
        )
    if metres.max() == UNKNOWN:
        raise UnreadableError("has no known depth: all pixels are 0")
    return Image.fromarray(metres)


def _metres(data: bytes, per_metre: float) -> np.ndarray:
    """Return the depths (H, W) of a file, float32."""
    if data.startswith((_NPY, _NPZ)):
        return _load_array(data, np.floating, "depth in metres as floats").astype(np.float32)
    floats = _floats(data)
    if floats is not None:
        return floats
    image = open_image(data)
    if image.mode not in _SIXTEEN_BITS:
        raise UnreadableError(
            f"is no depth map but of mode {image.mode}; give 16 bits in millimetres, or a float "
            "TIFF, .npy or .npz in metres"
        )
    return np.asarray(image).astype(np.float32) / np.float32(per_metre)


def _load_array(data: bytes, kind: type, expected: str) -> np.ndarray:
    """Return an array (H, W) of a kind of numbers, as it was stored."""
    try:
        if data.startswith(_NPZ):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                if sum(info.file_size for info in archive.infolist()) > MOST_BYTES:
                    raise ValueError(f"it unpacks to more than {MOST_BYTES // 2**20} MiB")
        stored = np.load(io.BytesIO(data), allow_pickle=False)
        arrays = [stored[key] for key in stored.files] if data.startswith(_NPZ) else [stored]
    except Exception as error:  # numpy raises what it likes on damaged data
        raise UnreadableError(f"is corrupt ({error})") from error
    if len(arrays) != 1:
        raise UnreadableError(f"holds {len(arrays)} arrays; give one")
    array = arrays[0]
    if not np.issubdtype(array.dtype, kind):
        raise UnreadableError(f"holds {array.dtype}; give {expected}")
    for axis in (0, -1):
        if array.ndim == 3 and array.shape[axis] == 1:
            array = array.squeeze(axis)
    if array.ndim != 2:
        raise UnreadableError(f"has the shape {array.shape}; give one value per pixel (H, W)")
    return array


def _decode_labels(data: bytes, modality: Modality) -> Image.Image:
    if data.startswith(_NPY):
        return _classes(_load_array(data, np.integer, "labels as whole numbers"), modality)
    image = open_image(data)
    if image.mode not in ("1", "L", "P", *_SIXTEEN_BITS):
        raise UnreadableError(
            f"is no label map but of mode {image.mode}; give a PNG whose grey or palette index is "
            "the label"
        )
    if Image.open(io.BytesIO(data)).format in _LOSSY:
        raise UnreadableError("is compressed with loss, which changes labels; give a PNG")
    return _classes(np.asarray(image), modality)


def _classes(labels: np.ndarray, modality: Modality) -> Image.Image:
    return Image.fromarray(_mapped(labels, {IGNORE: IGNORE, **_label_map(modality)}))


def _label_map(modality: Modality) -> Mapping[int, int]:
    if isinstance(modality, FileModality) and modality.label_map is not None:
        return modality.label_map
    return {c: c for c in range(modality.channels)}


def _mapped(labels: np.ndarray, known: Mapping[int, int]) -> np.ndarray:
    present = np.unique(labels)
    unknown = [int(label) for label in present if int(label) not in known]
    if unknown:
        listed = ", ".join(str(label) for label in unknown[:_LISTED])
        more = " ..." if len(unknown) > _LISTED else ""
        raise UnreadableError(f"has the label {listed}{more}; allowed are {_ranges(known)}")
    classes = np.array([known[int(label)] for label in present], dtype=np.uint8)
    return classes[np.searchsorted(present, labels)]


def _ranges(labels: Iterable[int]) -> str:
    """Return '0 to 12, 255' for these labels."""
    spans: list[list[int]] = []
    for label in sorted(labels):
        if spans and label == spans[-1][1] + 1:
            spans[-1][1] = label
        else:
            spans.append([label, label])
    return ", ".join(f"{a} to {b}" if a < b else str(a) for a, b in spans)


def _image(values: Tensor, modality: Modality) -> Image.Image:
    if modality.channels not in (1, 3):
        raise DataError(f"An image of {modality.channels} channels has no PNG; give 1 or 3.")
    pixels = ((values.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    array = pixels[0] if len(pixels) == 1 else pixels.permute(1, 2, 0)
    return Image.fromarray(array.contiguous().numpy())


def _millimetres(values: Tensor, _: Modality) -> Image.Image:
    millimetres = (values[0].double() * MM_PER_M).round()
    near = (values[0] > UNKNOWN) & (millimetres < 1)  # must not become unknown
    return Image.fromarray(millimetres.masked_fill(near, 1).numpy().astype(np.uint16))


def _indexed(values: Tensor, modality: Modality) -> Image.Image:
    image = Image.fromarray(values.to(torch.uint8).numpy())
    colours = list(modality.palette) or rainbow(modality.channels)
    black = [(0, 0, 0)] * (256 - len(colours))
    image.putpalette([value for colour in colours + black for value in colour])
    return image


def rainbow(classes: int) -> list[tuple[int, int, int]]:
    """Return an RGB colour in 0..255 for each class."""
    hues = [colorsys.hsv_to_rgb(i / classes, 0.65, 1 - 0.4 * (i % 2)) for i in range(classes)]
    return [(round(255 * r), round(255 * g), round(255 * b)) for r, g, b in hues]
