"""Disjoint sets of scenes, each known in some of the modalities, from plain folders."""

import re
from collections.abc import Sequence
from typing import Literal, get_args

from datamodules.augment.images import TransformSpec
from datamodules.base.translation_data import HeldOut
from datamodules.errors import DataError
from datamodules.files.decoding import Resize
from datamodules.files.modalities import ModalitySpec
from datamodules.files.scenes import Found, find_aligned
from datamodules.files.translation_folders import TranslationFolders


class Disjoint(TranslationFolders):
    """Training sets `<root>/<set>/<modality>/<stem>.<ext>`, hidden tuples `<root>/val` and `test`.

    The files of one scene have one stem. All of them are decoded before training starts, and
    missing, corrupt or odd ones are named.

    Args:
        root: Folder of the sets, and of `val` and `test` where there are such.
        modalities: Name -> {kind, channels, class_names, palette, label, label_map}; see
            `datamodules.modality_files.declare`.
        sets: Training set -> names of its modalities.
        image_size: Side in pixels.
        load_size: Side at which training pictures are kept, of which each draw is a random crop of
            `image_size`; None: no crop.
        resize: `crop` takes the central square, `stretch` the whole picture.
        scene: What of `<set>/<stem>` says which scene it is, a regular expression whose first group
            is the identity, so that the frames of a video are one scene; None: the stem.
        in_memory: Whether to decode all files once; `auto` does so up to 1 GiB a set.
        batch_size: Scenes of every set per batch and process.
        augment: Transforms of the training scenes; see `build_joint_augment`.
        num_workers: Processes that prepare batches; 0 is fastest for scenes in memory.
        seed: Of the orders of the scenes and of their augmentation.
    """

    def __init__(
        self,
        root: str,
        modalities: dict[str, ModalitySpec],
        sets: dict[str, list[str]],
        image_size: int,
        load_size: int | None = None,
        resize: Resize = "crop",
        scene: str | None = None,
        in_memory: bool | Literal["auto"] = "auto",
        batch_size: int = 6,
        augment: list[TransformSpec] | None = None,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__(
            root,
            modalities,
            sets,
            image_size,
            load_size,
            resize,
            in_memory,
            batch_size,
            augment,
            num_workers,
            seed,
        )
        for name in get_args(HeldOut):
            if name in sets:
                raise DataError(f"A training set is called {name}; {root}/{name} is held out.")
        self.scene = _expression(scene)

    def has_split(self, name: str) -> bool:
        return name in get_args(HeldOut) and (self.root / name).is_dir()

    def find_set(self, name: str) -> tuple[Sequence[str], Found]:
        return self._find(name, self.sets[name])

    def find_held_out(self, name: HeldOut) -> tuple[Sequence[str], Found]:
        used = {modality for names in self.sets.values() for modality in names}
        return self._find(name, [modality for modality in self.modalities if modality in used])

    def _find(self, part: str, names: Sequence[str]) -> tuple[list[str], Found]:
        stems, found = find_aligned({name: self.root / part / name for name in names})
        return [self._identity(f"{part}/{stem}") for stem in stems], found

    def _identity(self, name: str) -> str:
        if self.scene is None:
            return name.partition("/")[2]
        match = self.scene.search(name)
        if match is None or match[1] is None:
            raise DataError(
                f"scene {self.scene.pattern!r} does not match {name}; give an expression whose "
                "first group is the scene."
            )
        return match[1]


def _expression(scene: str | None) -> re.Pattern[str] | None:
    if scene is None:
        return None
    try:
        expression = re.compile(scene)
    except re.error as error:
        raise DataError(f"scene {scene!r} is no regular expression: {error}.") from error
    if not expression.groups:
        raise DataError(f"scene {scene!r} has no group; put what says the scene in brackets.")
    return expression
