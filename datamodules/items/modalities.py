"""Modalities: what a picture of a scene can be, and what its values mean."""

from dataclasses import dataclass
from typing import Literal

from datamodules.errors import DataError

Kind = Literal["image", "depth", "labels"]

IGNORE = 255  # in a label map: a pixel of no class
UNKNOWN = 0.0  # in a depth map: a pixel that was not measured


@dataclass(frozen=True)
class Modality:
    """One kind of picture of a scene.

    Attributes:
        kind: `image`: float32 (N, C, H, W) in [-1, 1]. `depth`: float32 (N, 1, H, W) in metres, 0
            where unknown. `labels`: int64 (N, H, W) in 0..channels - 1, 255 where to be ignored.
        channels: Of an image; 1 for depth; the number of classes for labels.
        class_names: Of labels, in order.
        palette: Of labels, an RGB colour in 0..255 for each class.
        label: Class that all images of this modality have, e.g. a colour domain's number; None: no
            such class.
    """

    kind: Kind
    channels: int
    class_names: tuple[str, ...] = ()
    palette: tuple[tuple[int, int, int], ...] = ()
    label: int | None = None

    def __post_init__(self) -> None:
        if self.kind == "depth" and self.channels != 1:
            raise DataError(f"A depth modality has {self.channels} channels; it has 1.")
        if self.kind == "labels" and not 2 <= self.channels <= IGNORE:
            raise DataError(f"A label modality has {self.channels} classes; give 2 to {IGNORE}.")
