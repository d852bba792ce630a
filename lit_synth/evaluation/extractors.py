"""Whose features compare images, and the features of a split."""

from collections.abc import Iterator

import torch
from torch import Tensor

from lit_synth.contracts.data import Images
from lit_synth.features.base import Extractor, Features, extract
from lit_synth.features.choice import load_extractor
from lit_synth.features.classifier import trained_classifier
from lit_synth.runs.user_cache import cache_folder

CHUNK = 256  # images that are read at once
LARGEST_PX = 64  # for which a classifier is trained unasked
SMALLEST_PX = 8


def choose_extractor(name: str | None, train: Images) -> Extractor:
    """Return the extractor called `name`, by default one that fits the data.

    Args:
        name: A name that `load_extractor` takes. None is a classifier trained on `train`, if that
            has classes 0, 1, 2, ... and images of 8 to 64 pixels; and else what `auto` stands for.
            The classifier is kept in the user's cache for the next run on the same images.
        train: The training images.
    """
    if name is not None:
        return load_extractor(name)
    first = train.fetch([0])
    height, width = first["image"].shape[-2:]
    if "label" not in first or height != width or not SMALLEST_PX <= width <= LARGEST_PX:
        return load_extractor("auto")
    everything = train.fetch(range(len(train)))
    classes = torch.unique(everything["label"])
    if len(classes) < 2 or len(classes) != classes.max() + 1:
        return load_extractor("auto")
    return trained_classifier(everything["image"], everything["label"], cache_folder())


def features_of(extractor: Extractor, images: Images, unseen: bool) -> Features:
    """Return the features of a whole split.

    Args:
        extractor: Looks at the images.
        images: Read in parts.
        unseen: Raise InputError if the extractor was trained on any of them?
    """

    def parts() -> Iterator[Tensor]:
        for start in range(0, len(images), CHUNK):
            part = images.fetch(range(start, min(start + CHUNK, len(images))))["image"]
            if unseen:
                extractor.refuse_seen(part.to(next(extractor.parameters()).device))
            yield part

    return extract(extractor, parts())
