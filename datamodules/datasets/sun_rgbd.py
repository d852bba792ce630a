"""SUN RGB-D: photographed rooms in RGB, depth and classes (Song et al. 2015)."""

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from datamodules.augment.images import TransformSpec
from datamodules.base.translation_data import HeldOut, TranslationData
from datamodules.datasets.scenenet import CLASS_COLOURS, INDOOR_CLASSES
from datamodules.errors import DataError
from datamodules.files.lazy_scenes import (
    ClassNumbers,
    LazyScenes,
    deal,
    joint_augment,
    sixteen_bits,
)
from datamodules.items.modalities import IGNORE, Modality

# In the order of their numbers in the label files: the official test scenes, then the official
# training scenes.
LISTS = ("sunrgbd_testing_images.txt", "sunrgbd_training_images.txt")
LABEL_FOLDER = "labels37"
FARTHEST = 8.0  # metres: the toolbox's read3dPoints cuts depth there

# The 37 classes of the toolbox's seg37list in order, each with its class among NYUv2's 13 by the
# table of github.com/ankurhanda/SceneNetv1.0 (README at 8194273, after Eigen and Fergus 2015).
THIRTEEN_OF_37 = {
    "wall": "wall",
    "floor": "floor",
    "cabinet": "furniture",
    "bed": "bed",
    "chair": "chair",
    "sofa": "sofa",
    "table": "table",
    "door": "wall",
    "window": "window",
    "bookshelf": "furniture",
    "picture": "picture",
    "counter": "furniture",
    "blinds": "window",
    "desk": "table",
    "shelves": "furniture",
    "curtain": "window",
    "dresser": "furniture",
    "pillow": "objects",
    "mirror": "objects",
    "floor_mat": "floor",
    "clothes": "objects",
    "ceiling": "ceiling",
    "books": "books",
    "fridge": "furniture",
    "tv": "tv",
    "paper": "objects",
    "towel": "objects",
    "shower_curtain": "objects",
    "box": "objects",
    "whiteboard": "objects",
    "person": "objects",
    "night_stand": "furniture",
    "toilet": "objects",
    "sink": "objects",
    "lamp": "objects",
    "bathtub": "objects",
    "bag": "objects",
}
STORED_CLASSES = ClassNumbers(
    {0: IGNORE}
    | {
        number: list(CLASS_COLOURS).index(name)
        for number, name in enumerate(THIRTEEN_OF_37.values(), start=1)
    }
)


class SunRGBD(TranslationData):
    """Scenes with RGB and classes, others with RGB and depth, and hidden test triplets.

    Layout: `SUNRGBD/` is the official archive, in which every scene folder has one JPEG in `image`
    and one PNG in `depth_bfx` (depth with its holes filled). Labels are the 37-class maps
    `labels37/img-000001.png` to `img-010335.png` and the two lists of images of
    github.com/ankurhanda/sunrgbd-meta-data (ddd3fee), numbered as the toolbox's SUNRGBDMeta: first
    the official test scenes, then the official training scenes. Here they become NYUv2's 13
    classes; unlabelled pixels are ignored.

    Split: `test_scenes` of the official test scenes, drawn by `split_seed`, are the test; all
    others are shuffled by it and dealt to the training sets. The thesis has these numbers (335, and
    5,000 in each set, section 4.6.1) but does not list its scenes. There is no validation split.

    Pictures are central squares. Depth is in metres, at most 8; 0 is unknown.

    Args:
        root: Folder with `SUNRGBD`, `labels37` and the two lists.
        sets: Training set -> its modalities among rgb, depth and segmentation; RGB with classes
            and RGB with depth when None.
        image_size: Side in pixels.
        test_scenes: How many scenes are held out for the test.
        split_seed: Of the split.
        batch_size: Scenes of every set per batch and process.
        num_workers: Processes that prepare batches; scenes are decoded when fetched.
        seed: Of the order of the scenes and of their augmentation.
        augment: Transforms of all modalities alike; see
            `datamodules.joint_transforms.build_joint_augment`.
    """

    def __init__(
        self,
        root: str,
        sets: dict[str, list[str]] | None = None,
        image_size: int = 256,
        test_scenes: int = 335,
        split_seed: int = 0,
        batch_size: int = 6,
        num_workers: int = 0,
        seed: int = 0,
        augment: list[TransformSpec] | None = None,
    ) -> None:
        self.modalities = {
            "rgb": Modality("image", 3),
            "depth": Modality("depth", 1),
            "segmentation": INDOOR_CLASSES,
        }
        super().__init__(
            sets or {"rgb_segmentation": ["rgb", "segmentation"], "rgb_depth": ["rgb", "depth"]},
            batch_size,
            num_workers,
            seed,
            joint_augment(augment, self.modalities),
        )
        self.root, self.image_size = Path(root), image_size
        self.test_scenes, self.split_seed = test_scenes, split_seed

    def has_split(self, name: str) -> bool:
        return name == "test"

    def load_set(self, name: str) -> LazyScenes:
        _, training = self._parts()
        return self._scenes(deal(training, list(self.sets))[name], self.sets[name])

    def load_held_out(self, name: HeldOut) -> LazyScenes:
        if name != "test":
            raise DataError("SUN RGB-D has no val split here; use test.")
        held_out, _ = self._parts()
        return self._scenes(held_out, list(self.modalities))

    def _parts(self) -> tuple[list[int], list[int]]:
        """Return the numbers of the test scenes and, shuffled, of the training scenes."""
        official = [len(images) for images in self._images()]
        if not 1 <= self.test_scenes <= official[0]:
            raise DataError(
                f"test_scenes is {self.test_scenes}; {LISTS[0]} has {official[0]} scenes, so give "
                f"1 to {official[0]}."
            )
        dice = random.Random(self.split_seed)
        held_out = sorted(dice.sample(range(official[0]), self.test_scenes))
        others = sorted(set(range(sum(official))) - set(held_out))
        dice.shuffle(others)
        return held_out, others

    def _images(self) -> list[list[str]]:
        lists = [read_list(self.root / name) for name in LISTS]
        twice = [image for image, n in Counter(lists[0] + lists[1]).items() if n > 1]
        if twice:
            raise DataError(
                f"{self.root}: {LISTS[0]} and {LISTS[1]} name {twice[0]} twice, so it would be "
                "trained on and tested on; fetch both lists again."
            )
        return lists

    def _scenes(self, numbers: Sequence[int], names: Sequence[str]) -> LazyScenes:
        official = [image for images in self._images() for image in images]
        images = [official[number] for number in numbers]
        files = {"rgb": images}
        if "depth" in names:
            files["depth"] = [self._depth_of(image) for image in images]
        files["segmentation"] = [f"{LABEL_FOLDER}/img-{n + 1:06d}.png" for n in numbers]
        return LazyScenes(
            {name: self.modalities[name] for name in names},
            self.root,
            files,
            [str(Path(image).parent.parent) for image in images],
            self.image_size,
            {"depth": rotated_depth, "segmentation": STORED_CLASSES},
        )

    def _depth_of(self, image: str) -> str:
        """Return the depth of a scene, whose name can differ from the image's."""
        folder = Path(image).parent.parent / "depth_bfx"
        found = sorted((self.root / folder).glob("*.png"))
        if len(found) != 1:
            raise DataError(
                f"{self.root}: {folder} has {len(found)} PNG files and must have one, the depth of "
                f"{image}; extract SUNRGBD.zip again."
            )
        return f"{folder}/{found[0].name}"


def read_list(path: Path) -> list[str]:
    """Return the image files that an official list names, one per line."""
    try:
        lines = path.read_text().split()
    except OSError as error:
        raise DataError(
            f"{path} cannot be read; fetch it from github.com/ankurhanda/sunrgbd-meta-data."
        ) from error
    for line in lines:
        if Path(line).parent.name != "image":
            raise DataError(f"{path} names {line}; expected SUNRGBD/<sensor>/.../image/<name>.jpg.")
    return lines


def rotated_depth(image: Image.Image) -> np.ndarray:
    """Return the metres (H, W) float32 of a stored depth map, 0 unknown.

    Its 16 bits are millimetres rotated left by three, as in the toolbox's read3dPoints.m, which
    also cuts at 8 m.
    """
    stored = sixteen_bits(image)
    metres = ((stored >> 3) | (stored << 13)) / 1000
    return np.minimum(metres, FARTHEST).astype(np.float32)
