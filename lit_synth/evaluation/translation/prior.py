"""Priors: what can be said of a scene without looking at it, beside every translation."""

from collections.abc import Iterator

import torch
from torch import Tensor

from lit_synth.contracts.data import HasImageSize, Scenes, TranslationData
from lit_synth.metrics.by_kind import majority, median_depth
from lit_synth.tensors.pixels import middle

SCENES = 1000  # of each training set that a prior is computed from, evenly spaced
CHUNK = 100  # scenes that are read at once


def priors(data: TranslationData) -> dict[str, Tensor]:
    """Return what is made without looking at a scene, for each modality but images: (1, ...).

    For labels it is the most frequent class at each pixel, for depth the median there, over up to
    `SCENES` scenes, evenly spaced, of each training set that has the modality. Of scenes that are
    kept larger than they are trained on, it is their middle.
    """
    found = {}
    for name, modality in data.modalities.items():
        sets = [own for own, names in data.sets.items() if name in names]
        if modality.kind == "image" or not sets:
            continue
        parts = [part for own in sets for part in _spread(data.training_set(own), name)]
        maps = torch.cat(parts)
        if isinstance(data, HasImageSize):
            maps = middle(maps, data.image_size)
        labels = modality.kind == "labels"
        found[name] = majority(maps, modality.channels) if labels else median_depth(maps)
    return found


def _spread(scenes: Scenes, name: str) -> Iterator[Tensor]:
    """Yield one modality of scenes that are evenly spaced, in parts."""
    n = min(len(scenes), SCENES)
    positions = [index * len(scenes) // n for index in range(n)]
    for start in range(0, n, CHUNK):
        yield scenes.fetch(positions[start : start + CHUNK])[name]
