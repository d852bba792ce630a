"""What the data modules of translation from folders share: declarations, checks, memory."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from datamodules.augment.images import TransformSpec
from datamodules.augment.scenes import build_joint_augment
from datamodules.base.translation_data import HeldOut, TranslationData
from datamodules.errors import DataError
from datamodules.files.decoding import RESIZE_RULES, Resize
from datamodules.files.images import IN_MEMORY_BYTES
from datamodules.files.modalities import ModalitySpec, declare
from datamodules.files.scenes import FileScenes, Found, refuse_copies, refuse_unusable, scan
from datamodules.items.scenes import Scenes
from datamodules.items.stream import Augment


class TranslationFolders(TranslationData):
    """Scenes in files under one root, checked before training and decoded once or at need.

    A subclass sets `aligned` and defines `find_set` and `find_held_out`.

    Args:
        root: Folder of all files.
        modalities: Name -> its declaration; see `declare`.
        sets: Training set -> names of its modalities.
        image_size: Side in pixels of what is trained on.
        load_size: Side at which training pictures are kept, of which each draw is a random crop of
            `image_size`; None: `image_size`, and no crop.
        resize: `crop` takes the central square, `stretch` the whole picture.
        in_memory: Whether to decode all pictures once; `auto` does so up to 1 GiB a set.
        batch_size: Scenes of every set per batch and process.
        augment: Transforms of the training scenes; see `build_joint_augment`.
        num_workers: Processes that prepare batches.
        seed: Of the orders of the scenes and of their augmentation.
    """

    def __init__(
        self,
        root: str,
        modalities: Mapping[str, ModalitySpec],
        sets: dict[str, list[str]],
        image_size: int,
        load_size: int | None,
        resize: Resize,
        in_memory: bool | Literal["auto"],
        batch_size: int,
        augment: list[TransformSpec] | None,
        num_workers: int,
        seed: int,
    ) -> None:
        super().__init__(sets, batch_size, num_workers, seed)
        self.root = Path(root)
        self.modalities = {name: declare(name, spec) for name, spec in modalities.items()}
        self.image_size, self.load_size = image_size, load_size or image_size
        if not 1 <= image_size <= self.load_size:
            raise DataError(
                f"image_size is {image_size} and load_size {load_size}; give 1 pixel or more, and "
                "a load_size from image_size."
            )
        self.resize, self.memory = resize, in_memory
        self.augment = self._build_augment(augment or [])
        self._files: dict[str, FileScenes] = {}

    @abstractmethod
    def find_set(self, name: str) -> tuple[Sequence[str], Found]:
        """Return the identities of a training set's scenes, and its pictures by modality."""

    @abstractmethod
    def find_held_out(self, name: HeldOut) -> tuple[Sequence[str], Found]:
        """Return the identities of the scenes of `val` or `test`, and the pictures by modality."""

    def setup(self, stage: str) -> None:
        existing_folder(self.root)
        super().setup(stage)
        if stage == "fit":
            refuse_copies(self.root, self._files)

    def load_set(self, name: str) -> Scenes:
        return self._load(f"set {name}", *self.find_set(name), self.load_size, aligned=True)

    def load_held_out(self, name: HeldOut) -> Scenes:
        return self._load(name, *self.find_held_out(name), self.image_size, self.aligned)

    def describe(self) -> dict[str, object]:
        return {
            **super().describe(),
            "image_size": self.image_size,
            "load_size": self.load_size,
            "resize_rule": f"{RESIZE_RULES[self.resize]}; depth and labels by nearest neighbour",
        }

    def _load(
        self, part: str, ids: Sequence[str], found: Found, size: int, aligned: bool
    ) -> Scenes:
        verdicts = scan(self.root, self.modalities, found)
        refuse_unusable(self.root, found, verdicts, aligned)
        files = FileScenes(self.modalities, found, ids, size, self.resize, verdicts)
        self._files[part] = files
        wanted = files.nbytes <= IN_MEMORY_BYTES if self.memory == "auto" else self.memory
        return files.in_memory() if wanted else files

    def _build_augment(self, specs: list[TransformSpec]) -> Augment | None:
        if self.load_size > self.image_size:
            size = {"height": self.image_size, "width": self.image_size}
            specs = [*specs, {"class_path": "RandomCrop", "init_args": size}]
        if not specs:
            return None
        return build_joint_augment(specs, self.modalities, self.image_size)


def existing_folder(root: Path) -> Path:
    """Return the root of the data; it must be a folder."""
    if not root.is_dir():
        raise DataError(f"There is no folder {root}; give the one that holds the data as root.")
    return root
