"""A generator in two parts, G = G2 o G1, and what is known of its images between them."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.networks.proxy_masks import ProxyMasks
from lit_synth.networks.stylegan2 import StyleGAN2Generator

AT_ONCE = 64  # samples made together


class Samples(NamedTuple):
    """Images of a generator, opened at its split.

    Attributes:
        f: Features G1(z), (N, C, h, w).
        skip: The image at the split, (N, 3, h, w).
        w: What styles the layers, (N, layers, w_dim).
        mask: Proxy masks of the features, int64 (N, h, w).
        image: Images G(z), (N, 3, H, W).
    """

    f: Tensor
    skip: Tensor
    w: Tensor
    mask: Tensor
    image: Tensor

    def at(self, index: Tensor) -> "Samples":
        """Return the samples at positions `index` (M,)."""
        return Samples(*(each[index] for each in self))


def splittable(generator: nn.Module, size: int) -> StyleGAN2Generator:
    """Return the generator itself; InputError unless it can be split at a size."""
    if not isinstance(generator, StyleGAN2Generator):
        raise InputError(
            f"the source is a {type(generator).__name__}, which cannot be split between features "
            "and image: give the release of a StyleGAN2."
        )
    sizes = [int(each) for each in generator.synthesis.blocks]
    if size not in sizes[:-1]:
        raise InputError(
            f"the source cannot be split at {size} pixels: its images have {sizes[-1]}, so give "
            f"one of {', '.join(map(str, sizes[:-1]))} as size."
        )
    if generator.num_classes:
        raise InputError(
            f"the source has {generator.num_classes} classes, and the split is of one that has "
            "none: give the release of an unconditional StyleGAN2."
        )
    return generator


@torch.no_grad()
def opened(generator: StyleGAN2Generator, proxy: ProxyMasks, size: int, w: Tensor) -> Samples:
    """Return samples of w (N, layers, w_dim), split at a size."""
    f, skip = generator.synthesis.features(w, size)
    return Samples(f, skip, w, proxy(f), generator.synthesis.images(f, skip, w))


@torch.no_grad()
def open_many(
    generator: StyleGAN2Generator, proxy: ProxyMasks, size: int, n: int, rng: torch.Generator
) -> Samples:
    """Return n samples of z drawn from a generator on the CPU."""
    device = generator.w_avg.device
    z = torch.randn(n, generator.latent_dim, generator=rng).to(generator.w_avg)
    parts = [
        opened(generator, proxy, size, generator.to_w(some.to(device))) for some in z.split(AT_ONCE)
    ]
    return Samples(*(torch.cat(each) for each in zip(*parts, strict=True)))
