"""CelebA: celebrities' faces with forty attributes (Liu, Luo, Wang, Tang 2015, arXiv:1411.7766)."""

from pathlib import Path
from typing import Literal

import numpy as np
import torch

from datamodules.errors import DataError
from datamodules.labelled.files import TRAIN, LabelledFiles, Rows, existing_file, listed
from datamodules.labelled.table import YES_OR_NO

_SIGNS = {"-1", "1"}
_GROUPS = {"0": TRAIN, "1": "val", "2": "test"}


class CelebA(LabelledFiles):
    """The aligned faces of CelebA in its own partitions; every attribute is no or yes.

    `root` holds `img_align_celeba/*.jpg`, `list_attr_celeba.txt` and `list_eval_partition.txt` as
    they were published. The extractor's and the judges' images are shares of the training
    partition, which the training images lack.

    Args:
        root: Folder of the images and of both lists.
        image_size: Side in pixels.
        crop: Side in pixels of the central square that is cut out of 178x218 first.
        shares: Group -> share of the training partition: `{extractor: 0.1, judge0: 0.1, judge1:
            0.1}` where left out.
        seed: Of the order in which images are dealt; groups don't depend on it.
        in_memory: Whether to decode all images of a part once; `auto` does so up to 1 GiB.
    """

    def __init__(
        self,
        root: str,
        image_size: int = 128,
        crop: int = 178,
        shares: dict[str, float] | None = None,
        seed: int = 0,
        in_memory: bool | Literal["auto"] = "auto",
    ) -> None:
        folder = Path(root)
        super().__init__(
            folder / "img_align_celeba",
            folder / "list_attr_celeba.txt",
            image_size,
            crop,
            "crop",
            shares,
            seed,
            in_memory,
        )
        self.partition = folder / "list_eval_partition.txt"

    def read_rows(self) -> Rows:
        count, header, *lines = [*self.table.read_text().splitlines(), "", ""]
        names, files, flags = header.split(), [], []
        for file, *cells in (line.split() for line in lines if line.strip()):
            if len(cells) != len(names) or not _SIGNS.issuperset(cells):
                raise DataError(
                    f"{self.table}: the row of {file} is not {len(names)} times -1 or 1; replace "
                    "the file by a fresh copy."
                )
            files.append(file)
            flags.append([cell == "1" for cell in cells])
        if not files or count.strip() != str(len(files)):
            raise DataError(
                f"{self.table} announces {count.strip() or 'no'} images and has {len(files)} rows; "
                "replace the file by a fresh copy."
            )
        values = torch.from_numpy(np.array(flags, dtype=np.int64).T.copy())
        return Rows(
            files,
            dict.fromkeys(names, YES_OR_NO),
            dict(zip(names, values, strict=True)),
            self._groups(files),
            files,
        )

    def _groups(self, files: list[str]) -> list[str]:
        lines = existing_file(self.partition).read_text().splitlines()
        words = [line.split() for line in lines if line.strip()]
        number = {line[0]: line[-1] for line in words}
        lacking = [file for file in files if number.get(file) not in _GROUPS]
        if lacking:
            raise DataError(
                f"{self.partition} gives {len(lacking)} images no partition 0, 1 or 2: "
                f"{listed(lacking)}; replace the file by a fresh copy."
            )
        return [_GROUPS[number[file]] for file in files]
