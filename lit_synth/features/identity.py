"""Whose face it is: embeddings in which photos of one person lie together, and their distances."""

import hashlib
from abc import ABC, abstractmethod
from itertools import zip_longest
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.features.base import extract
from lit_synth.features.classifier import Recipe, ReleaseClassifier, trained_classifier
from lit_synth.features.random import as_rgb
from lit_synth.networks.parts.pretrained import (
    VGG_FACE_MEAN,
    read_vgg_face,
    vgg_face_convolutions,
)
from lit_synth.tensors.precision import full_float32

RECIPE = Recipe(iterations=1000, noise=0.02, seed=104)
FEWEST = 4  # photos of a person, from which one can be learned
SIZE = 224  # pixels, of VGG-Face


class IdentityEmbedding(nn.Module, ABC):
    """Maps faces to points whose directions say who it is.

    Attributes:
        name: Short name, as it stands on the card.
        sha256: Hash of the weights.
    """

    name: str
    sha256: str

    @abstractmethod
    def embed(self, images: Tensor) -> Tensor:
        """Return points (N, D) of images (N, C, H, W) in [-1, 1]."""

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Return 1 - the cosine of the points, (N,), of pairs of images (N, C, H, W)."""
        return 1 - F.cosine_similarity(self.embed(a), self.embed(b))


class LearnedIdentity(IdentityEmbedding):
    """The features of a classifier that tells people apart.

    Args:
        classifier: Trained on several photos of each.
    """

    def __init__(self, classifier: ReleaseClassifier) -> None:
        super().__init__()
        self.classifier, self.sha256 = classifier, classifier.sha256
        self.name = f"classifier of {classifier.num_classes} people"

    def embed(self, images: Tensor) -> Tensor:
        return extract(self.classifier, images).features


class VGGFace(IdentityEmbedding):
    """VGG-Face (Parkhi, Vedaldi, Zisserman 2015): its layer fc7 after the ReLU.

    Images are enlarged or reduced to 224 pixels, bilinear, and their means are taken away.

    Args:
        weights: State dict (.pth), as `read_vgg_face` takes it.

    Raises:
        InputError: If the file holds something else.
    """

    name = "VGG-Face fc7"

    def __init__(self, weights: str | Path) -> None:
        super().__init__()
        path = Path(weights)
        self.convolutions = list(vgg_face_convolutions())
        state = read_vgg_face(path, "identity", [*self.convolutions, "fc6", "fc7"])
        for name, tensor in state.items():
            self.register_buffer(name.replace(".", "_"), tensor)
        self.register_buffer("mean", torch.tensor(VGG_FACE_MEAN).view(3, 1, 1))
        self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()

    @torch.no_grad()
    def embed(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, enabled=False), full_float32():
            x = F.interpolate(as_rgb(images.float()), (SIZE, SIZE), mode="bilinear", antialias=True)
            x = (x + 1) * 127.5 - self.get_buffer("mean")
            for name, following in zip_longest(self.convolutions, self.convolutions[1:]):
                x = F.conv2d(x, *self._layer(name), padding=1).relu()
                if following is None or following.endswith("_1"):
                    x = F.max_pool2d(x, 2)
            x = F.linear(x.flatten(1), *self._layer("fc6")).relu()
            return F.linear(x, *self._layer("fc7")).relu()

    def _layer(self, name: str) -> tuple[Tensor, Tensor]:
        return self.get_buffer(f"{name}_weight"), self.get_buffer(f"{name}_bias")


def learned_identity(images: Tensor, people: Tensor, folder: str | Path) -> LearnedIdentity | None:
    """Return an embedding learned from photos, from the cache if it was ever learned.

    Args:
        images: Photos (N, C, H, W) in [-1, 1].
        people: The number of the person on each, int64 (N,), any numbers.
        folder: Cache of classifiers.

    Returns:
        None where there are less than two people, or less than four photos of each on average.
    """
    numbers, labels = torch.unique(people, return_inverse=True)
    if len(numbers) < 2 or len(people) < FEWEST * len(numbers):
        return None
    return LearnedIdentity(trained_classifier(images, labels, folder, RECIPE))
