"""OpenEDS: infrared eyes of 152 people in a headset (Garbin et al. 2019, arXiv:1905.03702)."""

import json
from pathlib import Path
from typing import Any, Literal

from datamodules.augment.images import TransformSpec
from datamodules.base.person_data import Part
from datamodules.errors import DataError
from datamodules.files.decoding import Resize
from datamodules.files.person_folders import Person, PersonFolders
from datamodules.files.scenes import Picture

CLASSES = ("background", "sclera", "iris", "pupil")
PALETTE = ((60, 60, 60), (70, 130, 200), (90, 180, 90), (220, 60, 60))
SEGMENTED, GENERATIVE = "Semantic_Segmentation_Dataset", "Generative_Dataset"
_FOLDER = {"train": "train", "val": "validation", "test": "validation"}
_LABELLED = "semantic_segmenation_images"  # so spelt in the published lists
_MOST_BYTES = 2**28  # of a list


class OpenEDS(PersonFolders):
    """The folders of the 2019 challenge, unpacked as they were published.

    `root` holds `OpenEDS_{train,validation}_userID_mapping_to_images.json`, which say whose each
    image is, `Semantic_Segmentation_Dataset/{train,validation}/{images,labels}`, and for references
    `Generative_Dataset/{train,validation}`. A person's pool are its generative images. The
    published test images have no labels, so `test` is made of the last people of the validation
    list.

    Args:
        root: Folder of the lists and of the unpacked archives.
        image_size: Height and width in pixels; the published images have 640 and 400.
        test_persons: Number of people of the validation list that make up `test`.
        leave_out: Names of people who are left out; the authors' refiner leaves out U111.
        references: See `PersonData`.
        resize: `stretch` takes the whole picture, `crop` its central part of the wanted shape.
        in_memory: Whether to decode all files once; `auto` does so up to 1 GiB a split.
        batch_size: Pairs per batch and process.
        augment: Joint transforms of a training pair, which its references take too.
        num_workers: Processes that prepare batches.
        seed: Seeds the orders of the pairs, their references and their augmentation.
    """

    def __init__(
        self,
        root: str,
        image_size: tuple[int, int] = (320, 256),
        test_persons: int = 14,
        leave_out: list[str] | None = None,
        references: int = 0,
        resize: Resize = "stretch",
        in_memory: bool | Literal["auto"] = "auto",
        batch_size: int = 8,
        augment: list[TransformSpec] | None = None,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        mask = {"channels": len(CLASSES), "class_names": CLASSES, "palette": PALETTE}
        super().__init__(
            root,
            image_size,
            mask,
            1,
            references,
            resize,
            in_memory,
            batch_size,
            augment,
            num_workers,
            seed,
        )
        if test_persons < 0:
            raise DataError(f"test_persons is {test_persons}; give 0 or more.")
        self.test_persons, self.leave_out = test_persons, leave_out or []

    def has_split(self, name: str) -> bool:
        return name == "val" or (name == "test" and self.test_persons > 0)

    def find_people(self, part: Part) -> list[Person]:
        entries = self._entries(_FOLDER[part])
        if part != "train":
            first = len(entries) - self.test_persons
            if first < 1:
                raise DataError(
                    f"test_persons is {self.test_persons}, but the validation list has "
                    f"{len(entries)} people; leave some for val."
                )
            entries = entries[:first] if part == "val" else entries[first:]
        return [self._person(_FOLDER[part], entry) for entry in entries]

    def _entries(self, split: str) -> list[dict[str, Any]]:
        """Return what a published list says of the people with labelled images."""
        file = self.root / f"OpenEDS_{split}_userID_mapping_to_images.json"
        if not file.is_file() or file.stat().st_size > _MOST_BYTES:
            raise DataError(f"There is no list {file} of {_MOST_BYTES // 2**20} MiB at most.")
        try:
            entries = json.loads(file.read_text())
            kept = [entry for entry in entries if entry["id"] not in self.leave_out]
            return [entry for entry in kept if _names(entry, _LABELLED, "png")]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{file} is no list of people and images ({error!r}).") from error

    def _person(self, split: str, entry: dict[str, Any]) -> Person:
        segmented, generative = self.root / SEGMENTED / split, self.root / GENERATIVE / split
        pairs = {
            f"{split}/{name}": (
                Picture(segmented / "labels" / Path(name).with_suffix(".npy")),
                Picture(segmented / "images" / name),
            )
            for name in _names(entry, _LABELLED, "png")
        }
        names = _names(entry, "generative_images", "png")
        pool = {f"{split}/{GENERATIVE}/{name}": Picture(generative / name) for name in names}
        return Person(entry["id"], pairs, pool)


def _names(entry: dict[str, Any], key: str, suffix: str) -> list[str]:
    """Return the files of a person, whose names must not lead out of their folder."""
    names = list(entry[key])
    for name in (entry["id"], *names):
        if not isinstance(name, str) or Path(name).name != name:
            raise ValueError(f"{name!r} is no name of a file")
    if wrong := [name for name in names if not name.endswith(f".{suffix}")]:
        raise ValueError(f"{wrong[0]!r} is no {suffix} file")
    return names
