"""What data modules of people in files share: declarations, checks, memory."""

from abc import abstractmethod
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import torch

from datamodules.augment.images import TransformSpec
from datamodules.augment.scenes import build_joint_augment
from datamodules.base.person_data import IMAGE, MASK, Part, PersonData
from datamodules.errors import DataError
from datamodules.files.decoding import RESIZE_RULES, Resize
from datamodules.files.images import IN_MEMORY_BYTES
from datamodules.files.modalities import ModalitySpec, declare
from datamodules.files.scenes import FileScenes, Picture, refuse_copies, refuse_unusable, scan
from datamodules.files.translation_folders import existing_folder
from datamodules.items.references import PERSON
from datamodules.items.scenes import Scenes

POOL = "pool"


class Person(NamedTuple):
    """The files of one person in a split.

    Attributes:
        name: What the person is called.
        pairs: Identity of a pair -> its mask and its image.
        pool: Identity of an image -> the image; None: the person's images of pairs.
    """

    name: str
    pairs: dict[str, tuple[Picture, Picture]]
    pool: dict[str, Picture] | None


class PersonFolders(PersonData):
    """Pairs and pools in files under one root, checked before training, decoded once or at need.

    A subclass defines `find_people` and `has_split`.

    Args:
        root: Folder of all files.
        image_size: Height and width in pixels.
        mask: What the masks are, as in `datamodules.files.modalities.declare`.
        image_channels: 1 (grey) or 3 (RGB).
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
        image_size: tuple[int, int],
        mask: ModalitySpec,
        image_channels: int,
        references: int,
        resize: Resize,
        in_memory: bool | Literal["auto"],
        batch_size: int,
        augment: list[TransformSpec] | None,
        num_workers: int,
        seed: int,
    ) -> None:
        super().__init__(references, batch_size, num_workers, seed)
        self.root, self.size = Path(root), (image_size[0], image_size[1])
        if min(self.size) < 1:
            raise DataError(f"image_size is {list(image_size)}; give 1 pixel or more.")
        self.modalities = {
            MASK: declare(MASK, {"kind": "labels", **mask}),
            IMAGE: declare(IMAGE, {"channels": image_channels}),
        }
        self.resize, self.memory = resize, in_memory
        if augment:
            self.augment = build_joint_augment(augment, self.modalities)
        self._files: dict[str, FileScenes] = {}
        self._people: dict[Part, list[Person]] = {}

    @abstractmethod
    def find_people(self, part: Part) -> list[Person]:
        """Return the persons of a split and their files."""

    def people(self, part: Part) -> list[Person]:
        """Return the persons of a split and their files, found at first use."""
        if part not in self._people:
            self._people[part] = self.find_people(part)
        return self._people[part]

    def setup(self, stage: str) -> None:
        existing_folder(self.root)
        super().setup(stage)
        if stage == "fit":
            refuse_copies(self.root, self._files)

    def load_pairs(self, part: Part) -> Scenes:
        people = self.people(part)
        ids = [name for person in people for name in person.pairs]
        both = [pair for person in people for pair in person.pairs.values()]
        found = {MASK: [mask for mask, _ in both], IMAGE: [image for _, image in both]}
        owners = [person.name for person in people for _ in person.pairs]
        return self._load(part, ids, found, owners, checked=True)

    def load_pool(self, part: Part) -> Scenes:
        people = self.people(part)
        without = [person.name for person in people if person.pool is None]
        if 0 < len(without) < len(people):
            raise DataError(
                f"{self.root}: {len(without)} of {len(people)} persons of {part} have no {POOL}, "
                f"such as {without[0]}; give one to all of them or to none."
            )
        pools = {
            person.name: (
                {name: image for name, (_, image) in person.pairs.items()}
                if person.pool is None
                else person.pool
            )
            for person in people
        }
        ids = [name for pool in pools.values() for name in pool]
        found = {IMAGE: [picture for pool in pools.values() for picture in pool.values()]}
        owners = [name for name, pool in pools.items() for _ in pool]
        return self._load(f"the {POOL} of {part}", ids, found, owners, checked=not without)

    def person_name(self, number: int) -> str:
        return self._names[number]

    def describe(self) -> dict[str, object]:
        return {
            **super().describe(),
            "size": list(self.size),
            "resize_rule": f"{RESIZE_RULES[self.resize]}; labels by nearest neighbour",
        }

    @cached_property
    def _names(self) -> list[str]:
        """Names of all persons, sorted; their places are their numbers."""
        there = [part for part in get_args(Part) if part == "train" or self.has_split(part)]
        return sorted({person.name for part in there for person in self.people(part)})

    def _load(
        self,
        part: str,
        ids: list[str],
        found: dict[str, list[Picture]],
        owners: list[str],
        checked: bool,
    ) -> Scenes:
        """Judge and read files.

        Args:
            part: What the files are called in messages.
            ids: Identity of each item.
            found: Modality -> its pictures.
            owners: Name of the person of each item.
            checked: Look for copies of the images in other parts?
        """
        if not ids:
            raise DataError(f"{self.root} has no images for {part}; add some.")
        verdicts = scan(self.root, self.modalities, found)
        refuse_unusable(self.root, found, verdicts, aligned=True)
        numbers = {name: number for number, name in enumerate(self._names)}
        fields = {PERSON: torch.tensor([numbers[name] for name in owners])}
        files = FileScenes(self.modalities, found, ids, self.size, self.resize, verdicts, fields)
        if checked:
            self._files[part] = files
        wanted = files.nbytes <= IN_MEMORY_BYTES if self.memory == "auto" else self.memory
        return files.in_memory() if wanted else files
