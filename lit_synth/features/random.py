"""Random convolutional features: no labels, no training, no download (Naeem et al. 2020)."""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.features.base import Extractor, Features
from lit_synth.tensors.hashing import weights_hash

SIZE = 32
WIDTHS = (3, 32, 64, 128)


class RandomFeatures(Extractor):
    """Features (N, 64) of a convolutional network with fixed random weights.

    Naeem et al. (arXiv:2002.09797, section 3.3) use 64 random features where images are unlike
    ImageNet. Theirs is a random VGG16; this one is smaller and has uniform weights.

    Args:
        seed: Seed of the weights; numbers of two seeds do not compare.
    """

    resize = f"grey repeated to RGB; bilinear, antialiased, to {SIZE}x{SIZE}"
    note = (
        "Random features see colour, texture and layout but no meaning: use them to compare runs "
        "with each other, never with published Inception scores."
    )

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(seed)
        shapes = [(c_out, c_in, 3, 3) for c_in, c_out in itertools.pairwise(WIDTHS)]
        self.convs = nn.ParameterList(_uniform_he(shape, rng) for shape in shapes)
        self.head = nn.Parameter(_uniform_he((64, WIDTHS[-1] * 4 * 4), rng))
        self.name = f"random-conv-64 (seed {seed})"
        self.sha256 = weights_hash(self)
        self.freeze()

    def forward(self, images: Tensor) -> Features:
        x = as_rgb(images)
        x = F.interpolate(x, (SIZE, SIZE), mode="bilinear", antialias=True)
        for weight in self.convs:
            x = F.leaky_relu(F.conv2d(x, weight, stride=2, padding=1), 0.2)
        return Features(F.linear(x.flatten(1), self.head))


def as_rgb(images: Tensor) -> Tensor:
    """Images (N, 3, H, W) from grey or colour ones; InputError for other channel counts."""
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise InputError(
            f"Images of shape {tuple(images.shape)} have no features here: expected (N, 1, H, W) "
            "or (N, 3, H, W); select or convert channels first."
        )
    return images.expand(-1, 3, -1, -1)


def _uniform_he(shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    """Zero-mean weights of variance 2 / fan-in."""
    # Integers times one number: the same bits, hence the same hash, on every machine.
    steps = torch.randint(-128, 128, shape, generator=rng) + 0.5
    return steps * (24 / 256**2 / math.prod(shape[1:])) ** 0.5
