"""Freiburg Forest: trails in RGB, depth, near infrared and classes (Valada et al. 2016)."""

import random
import re
from collections.abc import Sequence
from math import ceil
from pathlib import Path

import numpy as np
from PIL import Image

from datamodules.augment.images import TransformSpec
from datamodules.base.translation_data import HeldOut, TranslationData
from datamodules.errors import DataError
from datamodules.files.decoding import UnreadableError
from datamodules.files.lazy_scenes import LazyScenes, Window, deal, joint_augment
from datamodules.items.modalities import Modality

FOLDERS = {
    "rgb": "rgb",
    "depth": "depth_gray",
    "nir": "nir_gray",
    "segmentation": "GT_color",
}
CLASS_COLOURS: dict[str, tuple[int, int, int]] = {
    "sky": (0, 120, 255),
    "trail": (170, 170, 170),
    "grass": (0, 255, 0),
    "vegetation": (102, 102, 51),
    "obstacle": (0, 0, 0),
}
TREE = (0, 60, 0)  # counted as vegetation, as the data set's README does


class FreiburgForest(TranslationData):
    """Crops with RGB and classes, others with RGB, depth and near infrared, and hidden quadruples.

    Layout (README of freiburg_forest_annotated): `train` and `test`, each with folders `rgb`,
    `depth_gray`, `nir_gray` and `GT_color`. Files of one scene share the part of their name before
    the first underscore or dot, as in b1-09517_Clipped.jpg and b1-09517_mask.png. They differ in
    size, so all are aligned to the frame of the RGB image.

    Split: the official one. The training scenes are shuffled by `split_seed` and dealt to the
    training sets, with all crops of one scene in one set. There is no validation split.

    Each scene gives the fewest crops of `image_size` that cover its RGB image, evenly spaced: 12
    that do not overlap at 1024x768. The thesis crops (section 4.6.1) without saying where.

    Depth and near infrared are one-channel images in [-1, 1]: no unit of the depth is documented,
    and its file names call it a prediction, so it cannot be metres.

    Args:
        root: Folder `freiburg_forest_annotated`.
        sets: Training set -> its modalities among rgb, depth, nir and segmentation; RGB with
            classes, and RGB with depth and near infrared, when None.
        image_size: Side in pixels of the crops.
        split_seed: Of the dealing of training scenes to sets.
        batch_size: Crops of every set per batch and process.
        num_workers: Processes that prepare batches; crops are decoded when fetched.
        seed: Of the order of the crops and of their augmentation.
        augment: Transforms of all modalities alike; see
            `datamodules.joint_transforms.build_joint_augment`.
    """

    def __init__(
        self,
        root: str,
        sets: dict[str, list[str]] | None = None,
        image_size: int = 256,
        split_seed: int = 0,
        batch_size: int = 6,
        num_workers: int = 0,
        seed: int = 0,
        augment: list[TransformSpec] | None = None,
    ) -> None:
        self.modalities = {
            "rgb": Modality("image", 3),
            "depth": Modality("image", 1),
            "nir": Modality("image", 1),
            "segmentation": Modality(
                "labels", len(CLASS_COLOURS), tuple(CLASS_COLOURS), tuple(CLASS_COLOURS.values())
            ),
        }
        super().__init__(
            sets
            or {
                "rgb_segmentation": ["rgb", "segmentation"],
                "rgb_depth_nir": ["rgb", "depth", "nir"],
            },
            batch_size,
            num_workers,
            seed,
            joint_augment(augment, self.modalities),
        )
        self.root, self.image_size, self.split_seed = Path(root), image_size, split_seed

    def has_split(self, name: str) -> bool:
        return name == "test"

    def load_set(self, name: str) -> LazyScenes:
        found = list(scene_files(self.root, "train", "rgb"))
        random.Random(self.split_seed).shuffle(found)
        return self._scenes("train", deal(found, list(self.sets))[name], self.sets[name])

    def load_held_out(self, name: HeldOut) -> LazyScenes:
        if name != "test":
            raise DataError("Freiburg Forest has no val split; use test.")
        found = list(scene_files(self.root, "test", "rgb"))
        return self._scenes("test", found, list(self.modalities))

    def _scenes(self, part: str, scenes: Sequence[str], names: Sequence[str]) -> LazyScenes:
        files = {name: scene_files(self.root, part, name) for name in {"rgb", *names}}
        for name in names:
            for scene in scenes:
                if scene not in files[name]:
                    raise DataError(
                        f"{self.root}: {files['rgb'][scene]} has no partner in "
                        f"{part}/{FOLDERS[name]}; extract the data set again."
                    )
        crops = [
            (scene, window)
            for scene in scenes
            for window in cover(self.root / files["rgb"][scene], self.image_size)
        ]
        return LazyScenes(
            {name: self.modalities[name] for name in names},
            self.root,
            {name: [files[name][scene] for scene, _ in crops] for name in names},
            [scene for scene, _ in crops],
            self.image_size,
            {"segmentation": classes_of_colours},
            [window for _, window in crops],
        )


def scene_files(root: Path, part: str, modality: str) -> dict[str, str]:
    """Return scene -> its file of a modality in `train` or `test`, from `root`, in order."""
    folder = f"{part}/{FOLDERS[modality]}"
    names = sorted(p.name for p in (root / folder).glob("[!.]*"))
    if not names:
        raise DataError(
            f"{root}: {folder} is missing or empty; give as root the folder "
            "freiburg_forest_annotated, with train and test."
        )
    files: dict[str, str] = {}
    for name in names:
        scene = re.split("[_.]", name)[0]
        if scene in files:
            raise DataError(
                f"{root}: {files[scene]} and {name} are both of scene {scene}; keep one."
            )
        files[scene] = f"{folder}/{name}"
    return files


def cover(path: Path, side: int) -> list[Window]:
    """Return the fewest evenly spaced squares that cover an image, row by row."""
    try:
        with Image.open(path) as image:
            width, height = image.size
    except OSError as error:
        raise DataError(f"{path} is not an image that can be read; replace it.") from error
    if min(width, height) < side:
        raise DataError(
            f"{path} has {width}x{height} pixels; it must hold a crop of {side}, so lower "
            "image_size."
        )
    return [
        Window(left, top, side, width, height)
        for top in _starts(height, side)
        for left in _starts(width, side)
    ]


def classes_of_colours(image: Image.Image) -> np.ndarray:
    """Return the classes (H, W) uint8 of a colour-coded label image.

    Colours by the README of the data set; it has none for void, and no other colour is accepted.
    """
    pixels = np.asarray(image.convert("RGB")).astype(np.int32)
    codes = pixels @ np.array([1 << 16, 1 << 8, 1])
    classes = np.full(codes.shape, len(_CODES), np.uint8)
    for code, number in _CODES.items():
        classes[codes == code] = number
    unknown = pixels[classes == len(_CODES)]
    if len(unknown):
        raise UnreadableError(
            f"has the colour {tuple(unknown[0].tolist())}, which is no class; the classes are "
            f"{CLASS_COLOURS} and tree {TREE}, so fetch the data set again (its labels were "
            "corrected in 2018)"
        )
    return classes


def _code(colour: tuple[int, int, int]) -> int:
    red, green, blue = colour
    return red << 16 | green << 8 | blue


_CODES = {_code(colour): number for number, colour in enumerate(CLASS_COLOURS.values())}
_CODES[_code(TREE)] = list(CLASS_COLOURS).index("vegetation")


def _starts(extent: int, side: int) -> list[int]:
    count = ceil(extent / side)
    return [round(k * (extent - side) / max(count - 1, 1)) for k in range(count)]
