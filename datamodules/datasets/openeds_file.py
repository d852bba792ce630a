"""OpenEDS in one HDF5 file, as the authors of Seg2Eye prepare it."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from datamodules.augment.images import TransformSpec
from datamodules.augment.scenes import build_joint_augment
from datamodules.base.person_data import IMAGE, MASK, Part, PersonData
from datamodules.datasets.openeds import CLASSES, PALETTE
from datamodules.errors import DataError
from datamodules.files.archives import MOST_BYTES
from datamodules.files.modalities import fit
from datamodules.items.modalities import Modality
from datamodules.items.references import PERSON
from datamodules.items.scenes import MemoryScenes, Scenes
from datamodules.items.splits import Batch

_GROUPS: dict[Part, str] = {"train": "train", "val": "validation", "test": "validation"}
_STORED = {MASK: "labels_ss", IMAGE: "images_ss"}
_POOL = "images_gen"


class Row(NamedTuple):
    """A picture in the file.

    Attributes:
        dataset: Path of its dataset.
        number: Its row.
    """

    dataset: str
    number: int


class OpenEDSFile(PersonData):
    """The groups `train` and `validation` of an HDF5 file: one group for each person.

    A person has `images_ss` and `labels_ss`, uint8 (n, H, W), and for references `images_gen`. Rows
    are read when they are drawn. Needs the package h5py.

    Args:
        file: The HDF5 file.
        size: Height and width in pixels, to which pictures are stretched.
        test_persons: Number of people of `validation`, the last by name, that make up `test`.
        references: See `PersonData`.
        batch_size: Pairs per batch and process.
        augment: Joint transforms of a training pair, which its references take too.
        num_workers: Processes that prepare batches.
        seed: Seeds the orders of the pairs, their references and their augmentation.
    """

    def __init__(
        self,
        file: str,
        size: tuple[int, int] = (320, 256),
        test_persons: int = 14,
        references: int = 0,
        batch_size: int = 8,
        augment: list[TransformSpec] | None = None,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__(references, batch_size, num_workers, seed)
        self.file, self.size = Path(file), (size[0], size[1])
        if min(self.size) < 1 or test_persons < 0:
            raise DataError(f"size is {list(size)} and test_persons {test_persons}; give more.")
        self.test_persons = test_persons
        self.modalities = {
            MASK: Modality("labels", len(CLASSES), CLASSES, PALETTE),
            IMAGE: Modality("image", 1),
        }
        if augment:
            self.augment = build_joint_augment(augment, self.modalities)
        self._names: list[str] = []

    def has_split(self, name: str) -> bool:
        return name == "val" or (name == "test" and self.test_persons > 0)

    def load_pairs(self, part: Part) -> Scenes:
        return self._load(part, _STORED)

    def load_pool(self, part: Part) -> Scenes:
        return self._load(part, {IMAGE: _POOL})

    def person_name(self, number: int) -> str:
        return self._names[number]

    def _load(self, part: Part, stored: Mapping[str, str]) -> Scenes:
        rows: dict[str, list[Row]] = {name: [] for name in stored}
        people: list[int] = []
        with opened(self.file) as file:
            for person in self._people(file, part):
                counts = {}
                for name, dataset in stored.items():
                    path = f"{_GROUPS[part]}/{person}/{dataset}"
                    counts[name] = checked(file, path, self.file)
                    rows[name] += [Row(path, number) for number in range(counts[name][0])]
                if len(set(counts.values())) > 1:
                    raise DataError(
                        f"{self.file}: {person} has images and labels of other shapes, {counts}; "
                        "prepare the file anew."
                    )
                people += [self._number(person)] * counts[IMAGE][0]
        fields = {PERSON: torch.tensor(people)}
        return FileRows(self.file, self.modalities, rows, self.size, fields)

    def _people(self, file: Any, part: Part) -> list[str]:
        group = _GROUPS[part]
        if group not in file:
            raise DataError(f"{self.file} has no group {group}; prepare the file anew.")
        names = sorted(file[group])
        if part == "train":
            return names
        first = len(names) - self.test_persons
        if first < 1:
            raise DataError(
                f"test_persons is {self.test_persons}, but {group} has {len(names)} people; leave "
                "some for val."
            )
        return names[:first] if part == "val" else names[first:]

    def _number(self, name: str) -> int:
        if name not in self._names:
            self._names.append(name)
        return self._names.index(name)


class FileRows(Scenes):
    """Rows of an HDF5 file, read and resized when they are fetched.

    Args:
        path: The file.
        modalities: Name -> what it is.
        rows: Modality -> one row for each scene.
        size: Height and width in pixels.
        fields: See `Split`.
    """

    def __init__(
        self,
        path: Path,
        modalities: Mapping[str, Modality],
        rows: Mapping[str, Sequence[Row]],
        size: tuple[int, int],
        fields: Batch,
    ) -> None:
        ids = [f"{row.dataset}/{row.number}" for row in rows[IMAGE]]
        super().__init__({name: modalities[name] for name in rows}, ids, fields)
        self.path, self.rows, self.size = path, rows, size

    @property
    def sha256(self) -> str:
        """Hash of the file's size and of which rows these are; its bytes are not read."""
        facts = [self.path.name, self.path.stat().st_size, self.size, self.ids]
        return hashlib.sha256(repr(facts).encode()).hexdigest()

    def pictures(self, index: Tensor) -> Batch:
        with opened(self.path) as file:
            stored = {
                name: torch.stack([self._read(file, name, rows[i]) for i in index.tolist()])
                for name, rows in self.rows.items()
            }
        ids = [self.ids[i] for i in index.tolist()]
        return MemoryScenes(self.modalities, stored, ids).pictures(torch.arange(len(ids)))

    def _read(self, file: Any, name: str, row: Row) -> Tensor:
        pixels = np.asarray(file[row.dataset][row.number])
        modality = self.modalities[name]
        if modality.kind == "labels" and pixels.max() >= modality.channels:
            raise DataError(
                f"{self.path}: {row.dataset}[{row.number}] has the label {pixels.max()}; allowed "
                f"are 0 to {modality.channels - 1}."
            )
        return fit(Image.fromarray(pixels), modality, self.size, "stretch")


def opened(path: Path) -> Any:
    """Open an HDF5 file to be read; DataError if that is impossible."""
    try:
        import h5py
    except ImportError as error:
        raise DataError(
            "HDF5 files are read by h5py, which is not installed: pip install 'lit-synth[openeds]'."
        ) from error
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise DataError(f"{path} is no readable HDF5 file ({error}); prepare it anew.") from error


def checked(file: Any, name: str, path: Path) -> tuple[int, ...]:
    """Return the shape (n, H, W) of a dataset of pictures, which must lie in the file itself.

    Args:
        file: What `opened` returned.
        name: Path of the dataset in it.
        path: What messages call the file.
    """
    import h5py

    parts = name.split("/")
    for depth in range(1, len(parts) + 1):
        within = "/".join(parts[:depth])
        # A link may lead to other files, which nobody asked to read.
        if not isinstance(file.get(within, getlink=True), h5py.HardLink):
            raise DataError(f"{path} has no {within} of its own; prepare the file anew.")
    found = file[name]
    own = isinstance(found, h5py.Dataset) and not found.external and not found.is_virtual
    if not own or found.dtype != np.uint8 or found.ndim != 3 or 0 in found.shape:
        raise DataError(f"{path}: {name} holds no pictures; it must be uint8 (n, H, W).")
    together = found.chunks or (1, *found.shape[1:])
    if max(np.prod(together), np.prod(found.shape[1:])) > MOST_BYTES:
        raise DataError(f"{path}: {name} unpacks more than {MOST_BYTES // 2**20} MiB at once.")
    return tuple(found.shape)
