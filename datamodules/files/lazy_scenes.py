"""Scenes decoded from their files whenever they are fetched: data sets too large for memory."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from datamodules.augment.images import TransformSpec
from datamodules.errors import DataError
from datamodules.files.decoding import UnreadableError, open_image, to_pixels
from datamodules.items.modalities import Modality
from datamodules.items.scenes import Scenes
from datamodules.items.splits import Batch, to_unit_range
from datamodules.items.stream import Augment

Decode = Callable[[Image.Image], np.ndarray]
T = TypeVar("T")

_LISTED = 5


class Window(NamedTuple):
    """A square of a frame, in pixels of the frame.

    Attributes:
        left: Column of its first pixel.
        top: Row of its first pixel.
        side: Its side.
        width: Of the frame.
        height: Of the frame.
    """

    left: int
    top: int
    side: int
    width: int
    height: int


class LazyScenes(Scenes):
    """Scenes whose pictures are read, cut out and resized when they are fetched.

    Images are resized by antialiased PIL Lanczos, depth and labels to the nearest pixel, since
    neither unknown depth nor class numbers may be mixed with others.

    Args:
        modalities: Name -> what it is.
        root: Folder that the files are named from.
        files: Modality -> one file for each scene.
        ids: See `Scenes`; several views of one scene may share one.
        size: Side in pixels of all pictures.
        decode: Modality of depth or labels -> what turns its resized file into metres (H, W), or
            class numbers (H, W) with 255 to be ignored; it raises `UnreadableError` for values
            that mean nothing.
        windows: What each scene shows of its pictures, which may then differ in size; the central
            squares of pictures of one size when None.
    """

    def __init__(
        self,
        modalities: Mapping[str, Modality],
        root: Path,
        files: Mapping[str, Sequence[str]],
        ids: Sequence[str],
        size: int,
        decode: Mapping[str, Decode],
        windows: Sequence[Window] | None = None,
    ) -> None:
        super().__init__(modalities, ids, {})
        if size < 1:
            raise DataError(f"image_size is {size}; give 1 pixel or more.")
        self.root, self.size, self.decode = root, size, dict(decode)
        self.files = {name: list(files[name]) for name in self.modalities}
        self.windows = None if windows is None else list(windows)
        self._sha256 = self._hash(self._file_sizes())

    @property
    def sha256(self) -> str:
        """Hash of the names and sizes of all files and of what is shown of them.

        Their content is left out: reading the larger data sets whole would take hours.
        """
        return self._sha256

    def pictures(self, index: Tensor) -> Batch:
        scenes = [self._scene(position) for position in index.tolist()]
        return {name: torch.stack([scene[name] for scene in scenes]) for name in self.modalities}

    def _scene(self, position: int) -> Batch:
        images = {name: self._open(name, position) for name in self.modalities}
        if self.windows is None:
            self._check_one_size(images, position)
        window = None if self.windows is None else self.windows[position]
        return {name: self._value(name, position, im, window) for name, im in images.items()}

    def _open(self, name: str, position: int) -> Image.Image:
        file = self.files[name][position]
        try:
            return open_image((self.root / file).read_bytes())
        except (UnreadableError, OSError) as error:
            raise DataError(
                f"{self.root}: {file} {error}; replace it by a fresh copy of the data set's."
            ) from error

    def _check_one_size(self, images: Mapping[str, Image.Image], position: int) -> None:
        first, *others = images
        for other in others:
            if images[other].size != images[first].size:
                named = (
                    f"{self.files[name][position]} has {'x'.join(map(str, images[name].size))}"
                    for name in (first, other)
                )
                raise DataError(
                    f"{self.root}: {' but '.join(named)} pixels; pictures of one scene have one "
                    "size, so check that these belong together."
                )

    def _value(self, name: str, position: int, image: Image.Image, window: Window | None) -> Tensor:
        modality, view = self.modalities[name], image.crop(_box(image, window))
        if modality.kind == "image":
            return to_unit_range(to_pixels(view, self.size, modality.channels, "stretch"))
        nearest = view.resize((self.size, self.size), Image.Resampling.NEAREST)
        try:
            values = torch.from_numpy(self.decode[name](nearest))
        except UnreadableError as error:
            raise DataError(f"{self.root}: {self.files[name][position]} {error}.") from error
        return values.float()[None] if modality.kind == "depth" else values.long()

    def _file_sizes(self) -> dict[str, list[int]]:
        missing: list[str] = []
        sizes = {
            name: [self._size_of(file, missing) for file in files]
            for name, files in self.files.items()
        }
        if missing:
            more = f" and {len(missing) - _LISTED} more" if len(missing) > _LISTED else ""
            raise DataError(
                f"{self.root} lacks {len(missing)} of the files that complete its scenes: "
                f"{', '.join(missing[:_LISTED])}{more}; extract or convert the data set again."
            )
        return sizes

    def _size_of(self, file: str, missing: list[str]) -> int:
        try:
            return os.stat(f"{self.root}/{file}").st_size
        except OSError:
            missing.append(file)
            return 0

    def _hash(self, sizes: Mapping[str, Sequence[int]]) -> str:
        digest = hashlib.sha256(f"{self.size} {self.windows} {self.ids}".encode())
        for name, files in self.files.items():
            digest.update(f"{name} {self.modalities[name]} {files} {sizes[name]}".encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class ClassNumbers:
    """Turns the numbers that a label file stores into classes.

    Attributes:
        classes: Number in the file -> class, or 255 to be ignored.
    """

    classes: Mapping[int, int]

    def __call__(self, image: Image.Image) -> np.ndarray:
        """Return the classes (H, W) uint8 of a label image."""
        numbers = np.asarray(image)
        if numbers.ndim != 2:
            raise UnreadableError(f"has colours ({image.mode}) where class numbers are expected")
        found = np.unique(numbers)
        for number in found.tolist():
            if number not in self.classes:
                low, high = min(self.classes), max(self.classes)
                raise UnreadableError(
                    f"has the class number {number}; they go from {low} to {high}, so check that "
                    "it is a label map of this data set"
                )
        table = np.zeros(int(found.max()) + 1, np.uint8)
        table[found] = [self.classes[number] for number in found.tolist()]
        return table[numbers]


def sixteen_bits(image: Image.Image) -> np.ndarray:
    """Return the pixels (H, W) of a 16-bit grey image as uint16."""
    if not image.mode.startswith("I"):
        raise UnreadableError(f"has {image.mode} pixels where 16-bit grey depth is expected")
    return np.asarray(image).astype(np.uint16)


def millimetres(image: Image.Image) -> np.ndarray:
    """Return the metres (H, W) float32 of a depth image stored in millimetres, 0 unknown."""
    return (sixteen_bits(image) / 1000).astype(np.float32)


def joint_augment(
    specs: Sequence[TransformSpec] | None, modalities: Mapping[str, Modality]
) -> Augment | None:
    """Build what changes all modalities of a scene alike; None for no transforms."""
    if not specs:
        return None
    from datamodules.augment.scenes import build_joint_augment  # a slow import

    return build_joint_augment(specs, modalities)


def deal(items: Sequence[T], names: Sequence[str]) -> dict[str, list[T]]:
    """Deal items to names in turn, so that each gets its equal share."""
    return {name: list(items[start :: len(names)]) for start, name in enumerate(names)}


def _box(image: Image.Image, window: Window | None) -> tuple[int, int, int, int]:
    if window is None:
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        return left, top, left + side, top + side
    across, down = image.width / window.width, image.height / window.height
    return (
        round(window.left * across),
        round(window.top * down),
        round((window.left + window.side) * across),
        round((window.top + window.side) * down),
    )
