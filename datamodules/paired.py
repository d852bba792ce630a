"""Aligned pairs of images: two folders, or side by side in one file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from datamodules.augment.images import TransformSpec
from datamodules.base.translation_data import HeldOut
from datamodules.errors import DataError
from datamodules.files.decoding import Resize
from datamodules.files.modalities import ModalitySpec
from datamodules.files.scenes import Found, Picture, find, find_aligned
from datamodules.files.translation_folders import TranslationFolders

Layout = Literal["auto", "folders", "side_by_side"]


class Paired(TranslationFolders):
    """One training set, `pairs`, of two modalities in `<root>/{train,val,test}`.

    `folders`: `train/a/<stem>.<ext>` and `train/b/<stem>.<ext>`, named like the modalities.
    `side_by_side`: pix2pix's `train/<stem>.jpg`, whose left half is the first modality and whose
    right half the second. Which one is translated into which, the method says.

    Args:
        root: Folder of `train`, and of `val` and `test` where there are such.
        image_size: Side in pixels.
        modalities: The two, in order, name -> {kind, channels, ...}; see
            `datamodules.modality_files.declare`. None: RGB images `a` and `b`.
        layout: `auto` takes `side_by_side` where `train` has no folders.
        load_size: Side at which training pictures are kept, of which each draw is a random crop of
            `image_size` (pix2pix: 286 of 256); None: no crop.
        resize: `crop` takes the central square, `stretch` the whole picture.
        in_memory: Whether to decode all files once; `auto` does so up to 1 GiB.
        batch_size: Pairs per batch and process.
        augment: Transforms of the training pairs; see `build_joint_augment`.
        num_workers: Processes that prepare batches; 0 is fastest for images in memory.
        seed: Of the order of the pairs and of their augmentation.
    """

    def __init__(
        self,
        root: str,
        image_size: int,
        modalities: dict[str, ModalitySpec] | None = None,
        layout: Layout = "auto",
        load_size: int | None = None,
        resize: Resize = "stretch",
        in_memory: bool | Literal["auto"] = "auto",
        batch_size: int = 1,
        augment: list[TransformSpec] | None = None,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        modalities = modalities or {"a": {}, "b": {}}
        if len(modalities) != 2:
            raise DataError(
                f"A pair has the modalities {', '.join(modalities)}; give two, or use Disjoint."
            )
        super().__init__(
            root,
            modalities,
            {"pairs": list(modalities)},
            image_size,
            load_size,
            resize,
            in_memory,
            batch_size,
            augment,
            num_workers,
            seed,
        )
        self.layout = layout

    def has_split(self, name: str) -> bool:
        return name in get_args(HeldOut) and (self.root / name).is_dir()

    def find_set(self, name: str) -> tuple[Sequence[str], Found]:  # noqa: ARG002 - the only one
        return self._find("train")

    def find_held_out(self, name: HeldOut) -> tuple[Sequence[str], Found]:
        return self._find(name)

    def _find(self, part: str) -> tuple[list[str], Found]:
        # Numbers start anew in each folder of the published sets, so a name alone is no identity.
        folder = self.root / part
        stems, found = self._halves(folder) if self._side_by_side() else self._folders(folder)
        return [f"{part}/{stem}" for stem in stems], found

    def _folders(self, folder: Path) -> tuple[list[str], Found]:
        return find_aligned({name: folder / name for name in self.modalities})

    def _halves(self, folder: Path) -> tuple[list[str], Found]:
        files, (left, right) = find(folder), self.modalities
        return list(files), {
            left: [Picture(file, "left") for file in files.values()],
            right: [Picture(file, "right") for file in files.values()],
        }

    def _side_by_side(self) -> bool:
        train = self.root / "train"
        if self.layout != "auto" or not train.is_dir():
            return self.layout == "side_by_side"
        folders = sorted(entry.name for entry in train.iterdir() if entry.is_dir())
        if folders and not set(folders) & set(self.modalities):
            raise DataError(
                f"{train} has the folders {', '.join(folders)}; name two of them in modalities, "
                "or set layout: side_by_side for files of two halves."
            )
        return not folders
