"""The contract of a feature extractor, and how images go through one."""

from collections.abc import Iterable
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from lit_synth.tensors.precision import full_float32

AT_ONCE = 256


class Features(NamedTuple):
    """What an extractor says about N images.

    Attributes:
        features: (N, D), float32.
        logits: (N, K), float32, or None where the extractor is no classifier.
    """

    features: Tensor
    logits: Tensor | None = None


class Extractor(nn.Module):
    """Maps images (N, C, H, W) in [-1, 1] to `Features`, frozen and always in eval mode.

    Attributes:
        name: Short name, as it stands on the card.
        sha256: Hash of the weights.
        resize: How images reach the network's size, in words.
        num_classes: Number of classes of the logits, 0 without logits.
        note: Limits of its numbers, for the card.
        metrics: Names of metrics that are made for these features alone.
        at_once_on_cpu: Number of images that a CPU looks at together: fewer where the activations
            of one image are large.
    """

    name: str
    sha256: str
    resize: str
    num_classes: int = 0
    note: str = ""
    metrics: tuple[str, ...] = ()
    at_once_on_cpu: int = AT_ONCE

    def freeze(self) -> Self:
        """Stop all gradients into the weights; every constructor ends with it."""
        return self.requires_grad_(False).eval()

    def refuse_seen(self, images: Tensor) -> None:
        """Raise InputError if the weights were trained on any of the images that they shall judge.

        Args:
            images: Real or generated images (N, C, H, W). Weights that no user's images went into
                refuse none.
        """

    def train(self, mode: bool = True) -> Self:  # noqa: ARG002
        """Stay in eval mode: a trainer that switches its children must not change a metric."""
        return super().train(False)


@torch.no_grad()
def extract(
    extractor: Extractor, images: Tensor | Iterable[Tensor], batch_size: int | None = None
) -> Features:
    """Run images through an extractor in float32, whatever precision the caller trains in.

    Args:
        extractor: Stays on its device.
        images: (N, C, H, W) in [-1, 1], or an iterable of such batches.
        batch_size: Most images that go through at once; None: 256, on a CPU the extractor's number.

    Returns:
        Features of all images in order, on the CPU.
    """
    device = next(extractor.parameters()).device
    at_once = batch_size or (extractor.at_once_on_cpu if device.type == "cpu" else AT_ONCE)
    batches = [images] if isinstance(images, Tensor) else images
    parts = []
    with torch.autocast(device.type, enabled=False), full_float32():
        for batch in batches:
            for chunk in batch.split(at_once):
                features, logits = extractor(chunk.to(device, torch.float32))
                parts.append(Features(features.cpu(), None if logits is None else logits.cpu()))
    logits = [part.logits for part in parts if part.logits is not None]
    return Features(
        torch.cat([part.features for part in parts]), torch.cat(logits) if logits else None
    )
