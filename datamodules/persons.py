"""Masks and images of people in folders: one folder for each person."""

from typing import Literal

from datamodules.augment.images import TransformSpec
from datamodules.base.person_data import IMAGE, MASK, Part
from datamodules.errors import DataError
from datamodules.files.archives import is_clutter
from datamodules.files.decoding import Resize
from datamodules.files.modalities import ModalitySpec
from datamodules.files.person_folders import POOL, Person, PersonFolders
from datamodules.files.scenes import Picture, find, find_aligned


class Persons(PersonFolders):
    """Pairs `<root>/{train,val,test}/<person>/{image,mask}/<stem>.<ext>`, and pools of images.

    A person's pool are the images of `<person>/pool`; without that folder, those of its other
    pairs. All files are decoded before training starts, and those that cannot be used are named.

    Args:
        root: Folder of `train`, and of `val` and `test` where there are such.
        image_size: Height and width in pixels.
        mask: What the masks are, {channels, class_names, palette, label_map}; see
            `datamodules.files.modalities.declare`.
        image_channels: 1 (grey) or 3 (RGB).
        references: See `PersonData`.
        resize: `stretch` takes the whole picture, `crop` its central part of the wanted shape.
        in_memory: Whether to decode all files once; `auto` does so up to 1 GiB a split.
        batch_size: Pairs per batch and process.
        augment: Joint transforms of a training pair, which its references take too.
        num_workers: Processes that prepare batches; 0 is fastest for images in memory.
        seed: Seeds the orders of the pairs, their references and their augmentation.
    """

    def __init__(
        self,
        root: str,
        image_size: tuple[int, int],
        mask: ModalitySpec,
        image_channels: int = 1,
        references: int = 0,
        resize: Resize = "stretch",
        in_memory: bool | Literal["auto"] = "auto",
        batch_size: int = 8,
        augment: list[TransformSpec] | None = None,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__(
            root,
            image_size,
            mask,
            image_channels,
            references,
            resize,
            in_memory,
            batch_size,
            augment,
            num_workers,
            seed,
        )

    def has_split(self, name: str) -> bool:
        return name in ("val", "test") and (self.root / name).is_dir()

    def find_people(self, part: Part) -> list[Person]:
        folder = self.root / part
        if not folder.is_dir():
            raise DataError(f"There is no folder {folder}; make it, with a folder for each person.")
        found = [each for each in folder.iterdir() if each.is_dir() and not is_clutter(each.name)]
        if not found:
            raise DataError(f"{folder} has no folder of a person; make one with image and mask.")
        people = []
        for own in sorted(found):
            stems, pictures = find_aligned({name: own / name for name in (MASK, IMAGE)})
            name, pool = f"{part}/{own.name}", None
            if (own / POOL).is_dir():
                images = find(own / POOL).items()
                pool = {f"{name}/{POOL}/{stem}": Picture(file) for stem, file in images}
            both = zip(pictures[MASK], pictures[IMAGE], strict=True)
            pairs = {f"{name}/{stem}": pair for stem, pair in zip(stems, both, strict=True)}
            people.append(Person(own.name, pairs, pool))
        return people
