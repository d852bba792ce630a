"""Images of one domain from a folder or an archive, with or without classes."""

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch

from datamodules.augment.images import TransformSpec
from datamodules.base.image_data import ImageDataModule, SplitName
from datamodules.errors import DataError
from datamodules.files.archives import Source, open_source
from datamodules.files.decoding import RESIZE_RULES, Resize
from datamodules.files.images import (
    IN_MEMORY_BYTES,
    FileImages,
    Labels,
    Mismatch,
    Verdict,
    check,
    class_names,
    read_labels,
    scan,
)
from datamodules.items.splits import Batch, Split


class Unconditional(ImageDataModule):
    """A folder of images: nested, mixed formats and sizes, class folders, or a StyleGAN zip.

    All files are decoded before training starts, and every one that is unreadable or unlike the
    others is named in one error.

    Args:
        root: Folder or zip archive of the training images, and of those held out.
        image_size: Side in pixels of what is trained on.
        channels: 3 (RGB) or 1 (grey).
        labels: `folders` takes the first-level folder as the class, `dataset.json` StyleGAN's file,
            `none` nothing, `auto` that file where it is present with labels and nothing otherwise.
        val_root: Folder or archive of the validation images, instead of `val_fraction`.
        test_root: Folder or archive of the test images, instead of `test_fraction`.
        val_fraction: Share of `root` held out for validation; 0 for no validation split.
        test_fraction: Share of `root` held out for the test; 0 for no test split.
        split_seed: Of the choice of what is held out.
        resize: `crop` takes the central square, `stretch` the whole image.
        on_mismatch: Whether grey among colour images (or 16-bit, or transparent ones) is an
            `error`, or to `convert` them.
        in_memory: Whether to decode all images once; `auto` does so up to 1 GiB a split.
        batch_size: Images per batch and process.
        num_workers: Processes that prepare batches; 0 is fastest for images in memory.
        seed: Of the order of the training images and of their augmentation.
        augment: Transforms of the training images; see `datamodules.transforms.build_augment`.
    """

    def __init__(
        self,
        root: str,
        image_size: int,
        channels: int = 3,
        labels: Labels = "auto",
        val_root: str | None = None,
        test_root: str | None = None,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        split_seed: int = 0,
        resize: Resize = "crop",
        on_mismatch: Mismatch = "error",
        in_memory: bool | Literal["auto"] = "auto",
        batch_size: int = 64,
        num_workers: int = 0,
        seed: int = 0,
        augment: list[TransformSpec] | None = None,
    ) -> None:
        super().__init__(image_size, channels, batch_size, num_workers, seed, augment)
        self.root, self.own_roots = root, {"val": val_root, "test": test_root}
        self.fractions = {
            "val": 0.0 if val_root else val_fraction,
            "test": 0.0 if test_root else test_fraction,
        }
        if min(self.fractions.values()) < 0 or sum(self.fractions.values()) >= 1:
            raise DataError(
                f"val_fraction is {val_fraction} and test_fraction {test_fraction}; give shares "
                "from 0 that leave some images to train on."
            )
        self.labels, self.split_seed = labels, split_seed
        self.resize, self.on_mismatch, self.memory = resize, on_mismatch, in_memory
        self.resize_rule = RESIZE_RULES[resize]
        self.split_rule = (
            f"val {self.own_roots['val'] or self.fractions['val']}, "
            f"test {self.own_roots['test'] or self.fractions['test']}; a share is held out by the "
            f"hash of split_seed {split_seed} and the file's content"
        )
        self._scans: dict[str, list[Verdict]] = {}
        self._sources: dict[str, Source] = {}

    @cached_property
    def class_names(self) -> list[str]:
        return class_names(self._source(self.root), self.labels)

    def has_split(self, name: SplitName) -> bool:
        return name == "train" or bool(self.own_roots[name] or self.fractions[name])

    def load_split(self, name: SplitName) -> Split:
        if not self.has_split(name):
            raise DataError(
                f"There is no {name} split: {name}_fraction is 0; raise it or give {name}_root."
            )
        own_root = self.own_roots.get(name)
        source, verdicts = self._scanned(own_root or self.root)
        kept = [i for i, v in enumerate(verdicts) if own_root or self._split_of(v) == name]
        if not kept:
            raise DataError(
                f"{source.root} has {len(verdicts)} images and none falls to {name}; give more "
                f"images, other fractions or a {name}_root."
            )
        files = self._files(source, [verdicts[i] for i in kept], self._fields(source, kept))
        wanted = files.nbytes <= IN_MEMORY_BYTES if self.memory == "auto" else self.memory
        return files.in_memory() if wanted else files

    def _files(self, source: Source, verdicts: list[Verdict], fields: Batch) -> FileImages:
        names = [v.name for v in verdicts]
        digest = hashlib.sha256(f"{self.image_size} {self.image_channels}".encode())
        digest.update(self.resize_rule.encode())
        for verdict in verdicts:
            digest.update(verdict.sha256.encode())
        for field in fields.values():
            digest.update(field.numpy().tobytes())
        return FileImages(
            source,
            names,
            fields,
            self.image_size,
            self.image_channels,
            self.resize,
            digest.hexdigest(),
        )

    def _fields(self, source: Source, kept: list[int]) -> Batch:
        if not self.class_names:
            return {}
        return {"label": read_labels(source, self.labels, self.class_names)[torch.tensor(kept)]}

    def _split_of(self, verdict: Verdict) -> SplitName:
        return held_out(
            verdict.sha256, self.fractions["val"], self.fractions["test"], self.split_seed
        )

    def _source(self, root: str) -> Source:
        if root not in self._sources:
            self._sources[root] = open_source(Path(root))
        return self._sources[root]

    def _scanned(self, root: str) -> tuple[Source, list[Verdict]]:
        source = self._source(root)
        if root not in self._scans:
            verdicts = scan(source)
            check(source.root, verdicts, self.on_mismatch)
            self._scans[root] = verdicts
        return source, self._scans[root]


def held_out(key: str, val_fraction: float, test_fraction: float, seed: int) -> SplitName:
    """Return the split that an image falls to, by a hash of its key alone.

    So no image moves when others are added or removed, and equal keys stay together.
    """
    digest = hashlib.sha256(f"{seed} {key}".encode()).digest()
    share = int.from_bytes(digest[:8]) / 2**64
    if share < test_fraction:
        return "test"
    return "val" if share < test_fraction + val_fraction else "train"
