"""SceneNet RGB-D: rendered indoor videos in RGB, depth and classes (McCormac et al. 2017)."""

from collections.abc import Sequence
from pathlib import Path

from datamodules.augment.images import TransformSpec
from datamodules.base.translation_data import HeldOut, TranslationData
from datamodules.errors import DataError
from datamodules.files.lazy_scenes import ClassNumbers, LazyScenes, deal, joint_augment, millimetres
from datamodules.items.modalities import IGNORE, Modality

FRAMES, STEP = 300, 25  # of a video: files 0, 25, ..., 7475
LABEL_FOLDER = "label13"

# NYUv2's 13 classes (Couprie et al. 2013) in the order and colours of pySceneNetRGBD 5d1ef59; files
# store class + 1, and 0 for unknown.
CLASS_COLOURS: dict[str, tuple[int, int, int]] = {
    "bed": (0, 0, 255),
    "books": (233, 89, 48),
    "ceiling": (0, 218, 0),
    "chair": (149, 0, 240),
    "floor": (222, 241, 24),
    "furniture": (255, 206, 206),
    "objects": (0, 224, 229),
    "picture": (106, 136, 204),
    "sofa": (117, 29, 41),
    "table": (240, 35, 235),
    "tv": (0, 167, 156),
    "wall": (249, 139, 0),
    "window": (225, 229, 194),
}
INDOOR_CLASSES = Modality(
    "labels", len(CLASS_COLOURS), tuple(CLASS_COLOURS), tuple(CLASS_COLOURS.values())
)
STORED_CLASSES = ClassNumbers({0: IGNORE} | {c + 1: c for c in range(len(CLASS_COLOURS))})

Video = tuple[int, int]  # group and number: its folder


class SceneNet(TranslationData):
    """Training videos with RGB and classes, others with RGB and depth, and hidden triplets.

    Layout (pySceneNetRGBD 5d1ef59, README and scenenet.proto): `train/<group>/<video>/` and, for
    the 1,000 test videos, `val/<group>/<video>/`, each with `photo/<frame>.jpg`,
    `depth/<frame>.png` and `instance/<frame>.png`, frames 0, 25, ..., 7475. The class maps
    `label13/<frame>.png` are written once by `python -m datamodules.scenenet_labels`.

    Split, by video in numeric order: the first `train_videos` are dealt to the training sets in
    turn, the next `val_videos` are for validation, and all of `val/` is the test. The defaults are
    section 4.6.1 of the thesis: 150K, 10K and 10K frames.

    Pictures are central squares. Depth is in metres along the ray of each pixel, as stored. Unknown
    pixels (the background seen through windows) are ignored by losses and metrics, where the thesis
    counts them as a fourteenth output.

    Args:
        root: Folder with `train` and `val`.
        sets: Training set -> its modalities among rgb, depth and segmentation; RGB with classes
            and RGB with depth when None.
        image_size: Side in pixels.
        train_videos: How many videos are trained on.
        val_videos: How many of the others validate; 0 for no validation.
        frames_per_video: How many frames of a training video are used, evenly spaced from its
            first.
        held_out_frames: The same, of videos for validation and test.
        batch_size: Frames of every set per batch and process.
        num_workers: Processes that prepare batches; frames are decoded when fetched.
        seed: Of the order of the frames and of their augmentation.
        augment: Transforms of all modalities alike; see
            `datamodules.joint_transforms.build_joint_augment`.
    """

    def __init__(
        self,
        root: str,
        sets: dict[str, list[str]] | None = None,
        image_size: int = 256,
        train_videos: int = 15_000,
        val_videos: int = 1_000,
        frames_per_video: int = 10,
        held_out_frames: int = 10,
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
        self.train_videos, self.val_videos = train_videos, val_videos
        self.frames = frame_numbers(frames_per_video)
        self.held_out_frames = frame_numbers(held_out_frames)

    def has_split(self, name: str) -> bool:
        return name == "test" or (name == "val" and self.val_videos > 0)

    def load_set(self, name: str) -> LazyScenes:
        dealt = deal(self._trained_on()[: self.train_videos], list(self.sets))
        return self._scenes("train", dealt[name], self.frames, self.sets[name])

    def load_held_out(self, name: HeldOut) -> LazyScenes:
        if name == "test":
            found = videos(self.root / "val")
            return self._scenes("val", found, self.held_out_frames, list(self.modalities))
        if not self.has_split("val"):
            raise DataError("There is no val split: val_videos is 0; raise it.")
        held_out = self._trained_on()[self.train_videos :]
        return self._scenes("train", held_out, self.held_out_frames, list(self.modalities))

    def _trained_on(self) -> list[Video]:
        """Return the videos for training and, behind them, those for validation."""
        if self.train_videos < len(self.sets) or self.val_videos < 0:
            raise DataError(
                f"train_videos is {self.train_videos} and val_videos {self.val_videos}; give at "
                f"least {len(self.sets)} and 0."
            )
        found, wanted = videos(self.root / "train"), self.train_videos + self.val_videos
        if len(found) < wanted:
            raise DataError(
                f"{self.root / 'train'} has {len(found)} videos but train_videos and val_videos "
                f"ask for {wanted}; extract more of the data set or lower them."
            )
        return found[:wanted]

    def _scenes(
        self, part: str, chosen: Sequence[Video], frames: Sequence[int], names: Sequence[str]
    ) -> LazyScenes:
        folders = [f"{part}/{group}/{video}" for group, video in chosen]
        where = {
            "rgb": "photo/{}.jpg",
            "depth": "depth/{}.png",
            "segmentation": f"{LABEL_FOLDER}/{{}}.png",
        }
        return LazyScenes(
            {name: self.modalities[name] for name in names},
            self.root,
            {
                name: [f"{folder}/{where[name].format(k)}" for folder in folders for k in frames]
                for name in names
            },
            # Frames of one video show one room, so the video is what two sets must not share.
            [folder for folder in folders for _ in frames],
            self.image_size,
            {"depth": millimetres, "segmentation": STORED_CLASSES},
        )


def frame_numbers(count: int) -> list[int]:
    """Return the file numbers of `count` frames evenly spaced from a video's first."""
    if not 1 <= count <= FRAMES:
        raise DataError(f"{count} frames of a video are asked for; ask for 1 to {FRAMES}.")
    return [STEP * (k * FRAMES // count) for k in range(count)]


def videos(folder: Path) -> list[Video]:
    """Return the videos `<group>/<video>` of a folder, in numeric order."""
    found = [
        (int(group.name), int(video.name))
        for group in _numbered(folder)
        for video in _numbered(group)
    ]
    if not found:
        raise DataError(
            f"{folder} has no videos in folders <group>/<video>; give as root the folder that "
            "SceneNet RGB-D's train and val were extracted to."
        )
    return sorted(found)


def _numbered(folder: Path) -> list[Path]:
    return [p for p in folder.iterdir() if p.name.isdecimal()] if folder.is_dir() else []
