"""The one way to ask a trained method for images, aside from its training."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from lit_synth.contracts.data import Batch
from lit_synth.contracts.generator import HasLayouts
from lit_synth.contracts.translator import (
    HasAttention,
    HasLatents,
    HasSideInformation,
    ReadsPeople,
    ReadsStyles,
    Translation,
    Translator,
)
from lit_synth.errors import InputError
from lit_synth.method import Method


@torch.no_grad()
def draw(method: Method, batch: Batch) -> Tensor:
    """Return the images (N, C, H, W) of `method.generate`, float32 on the method's device.

    The global random generators are afterwards as they were, whatever `generate` does.
    """
    with _own_randomness(method.device):
        images = method.generate(batch)
    return _finite(images, "the generated images are").float()


@torch.no_grad()
def translate(method: Translator, x: Batch, translation: Translation) -> Tensor:
    """Return the target of scenes `x`, in float32 whatever precision the method is trained in.

    The global random generators are afterwards as they were.
    """
    with _own_randomness(_device(x)):
        made = method.translate(x, translation)
    return _finite(made, f"what {translation.name} makes is")


@torch.no_grad()
def swap(method: HasSideInformation, x: Batch, translation: Translation) -> Tensor:
    """Return the target of scenes `x`, made with the side information of other scenes."""
    with _own_randomness(_device(x)):
        made = method.swap(x, translation)
    return _finite(made, f"what {translation.name} makes of swapped side information is")


@torch.no_grad()
def latents(method: HasLatents, x: Batch) -> Batch:
    """Return the latents of scenes `x`, modality -> (N, ...)."""
    with _own_randomness(_device(x)):
        return method.latents(x)


@torch.no_grad()
def layouts(method: HasLayouts, z: Tensor) -> tuple[Tensor, Tensor]:
    """Return the images (N, C, H, W) of latents, and the labels (N, h, w) of their layouts."""
    with _own_randomness(z.device):
        return method.layouts(z)


@torch.no_grad()
def attention(method: HasAttention, x: Batch, translation: Translation) -> Tensor:
    """Return the share (N, 1, H, W) in [0, 1] of each pixel of scenes `x` that may change."""
    with _own_randomness(_device(x)):
        return method.attention(x, translation)


@torch.no_grad()
def read_styles(method: ReadsStyles, images: Tensor, domain: str) -> Tensor:
    """Return the styles (N, D) of images of a domain, on the method's device."""
    with _own_randomness(images.device):
        return method.read_styles(images, domain)


@torch.no_grad()
def read_people(method: ReadsPeople, references: Tensor) -> Tensor:
    """Return the styles (N, style_dim) of people, of R images (N, R, C, H, W) of each."""
    with _own_randomness(references.device):
        return method.read_people(references)


def _device(x: Batch) -> torch.device:
    return next(iter(x.values())).device


@contextmanager
def _own_randomness(device: torch.device) -> Iterator[None]:
    """Compute in full precision, and leave the global random generators as they are."""
    with (
        torch.random.fork_rng([device] if device.type == "cuda" else []),
        torch.autocast(device.type, enabled=False),
    ):
        yield


def _finite(made: Tensor, what: str) -> Tensor:
    if not torch.isfinite(made).all():
        raise InputError(
            f"{what} not finite (NaN or infinite): training has diverged; go on from an earlier "
            "checkpoint with a lower learning rate, or in float32."
        )
    return made
