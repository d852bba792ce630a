"""What can be said of a scene without looking at it: the floor under every translation."""

from collections.abc import Iterator

import torch
from torch import Tensor

from lit_synth.contracts.data import Scenes, TranslationData
from lit_synth.metrics.by_kind import majority, median_depth

SCENES = 1000  # of each training set that a floor is computed from, evenly spaced
CHUNK = 100  # scenes that are read at once


def floors(data: TranslationData) -> dict[str, Tensor]:
    """Return what is made without looking at a scene, for each modality but images: (1, ...).

    For labels it is the most frequent class at each pixel, for depth the median there, over up to
    `SCENES` scenes, evenly spaced, of each training set that has the modality. Of scenes that are
    kept larger than they are trained on, it is their middle.
    """
    found = {}
    size: int | None = getattr(data, "image_size", None)
    for name, modality in data.modalities.items():
        sets = [each for each, names in data.sets.items() if name in names]
        if modality.kind == "image" or not sets:
            continue
        parts = [part for each in sets for part in _spread(data.training_set(each), name)]
        maps = _middle(torch.cat(parts), size or parts[0].shape[-1])
        labels = modality.kind == "labels"
        found[name] = majority(maps, modality.channels) if labels else median_depth(maps)
    return found


def _spread(scenes: Scenes, name: str) -> Iterator[Tensor]:
    """Yield one modality of scenes that are evenly spaced, in parts."""
    n = min(len(scenes), SCENES)
    positions = [index * len(scenes) // n for index in range(n)]
    for start in range(0, n, CHUNK):
        yield scenes.fetch(positions[start : start + CHUNK])[name]


def _middle(maps: Tensor, size: int) -> Tensor:
    top, left = ((side - size) // 2 for side in maps.shape[-2:])
    return maps[..., top : top + size, left : left + size]
