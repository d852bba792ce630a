"""How a modality enters and leaves a network."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_synth.errors import InputError
from lit_synth.losses.reconstruction import berhu, masked_l1, masked_l2, share_of

Kind = Literal["image", "depth", "labels"]
Loss = Literal["l1", "l2", "berhu", "cross_entropy"]

IGNORE = 255  # a pixel of no class
NEAREST, FARTHEST = 0.01, 100.0  # of a predicted depth, in depth_scale
LOSSES: dict[Kind, Loss] = {"image": "l2", "depth": "berhu", "labels": "cross_entropy"}
REGRESSIONS = {"l1": masked_l1, "l2": masked_l2, "berhu": berhu}


@dataclass(frozen=True)
class Coding:
    """A modality as networks see it, and the loss of a network that makes it.

    An image is itself. Depth is log(z / depth_scale), 0 where unknown. Labels are one-hot, all 0
    where they are to be ignored.

    Attributes:
        kind: What the data holds: `image` (N, C, H, W) in [-1, 1], `depth` (N, 1, H, W) in metres
            (0: unknown), `labels` int64 (N, H, W) (255: ignore).
        channels: Of an image; 1 for depth; the number of classes for labels.
        loss: Of a reconstruction; None: l2 for an image, berhu for depth, cross_entropy for labels.
        depth_scale: Depth in metres that networks see as 0.
    """

    kind: Kind = "image"
    channels: int = 3
    loss: Loss | None = None
    depth_scale: float = 3.0

    def __post_init__(self) -> None:
        if (self.kind == "labels") != (self._loss == "cross_entropy"):
            raise InputError(
                f"a modality of kind '{self.kind}' has the loss '{self._loss}': labels take "
                "cross_entropy, images and depth take l1, l2 or berhu."
            )
        if self.kind == "depth" and self.channels != 1:
            raise InputError(f"a depth modality has {self.channels} channels: expected 1.")

    @property
    def _loss(self) -> Loss:
        return self.loss or LOSSES[self.kind]

    def encode(self, x: Tensor) -> Tensor:
        """Return the network's input (N, channels, H, W) of data `x`."""
        if self.kind == "depth":
            known = x > 0
            return torch.where(known, x / self.depth_scale, 1.0).log()
        if self.kind == "labels":
            classes = torch.arange(self.channels, device=x.device)
            return (x[:, None] == classes[:, None, None]).to(torch.get_default_dtype())
        return x

    def decode(self, y: Tensor) -> Tensor:
        """Return as data what a network made: `y` (N, channels, H, W)."""
        y = y.float()
        if self.kind == "depth":
            return self.depth_scale * y.exp().clamp(NEAREST, FARTHEST)
        return y.argmax(dim=1) if self.kind == "labels" else y.clamp(-1, 1)

    def soften(self, y: Tensor) -> Tensor:
        """Return what a network made as the input of another, with its gradient.

        Logits of labels become probabilities.
        """
        return _widen(y).softmax(dim=1) if self.kind == "labels" else y

    def reconstruction(self, y: Tensor, x: Tensor, alone: bool = False) -> Tensor:
        """Return the scalar loss of a network's output `y` (N, channels, H, W) for data `x`.

        Unknown depth and pixels to be ignored do not count, in any process of a run; `alone` is for
        a network that one process trains by itself.
        """
        if self._loss == "cross_entropy":
            total = F.cross_entropy(_widen(y), x, ignore_index=IGNORE, reduction="sum")
            return total / share_of((x != IGNORE).sum(), alone)
        mask = x > 0 if self.kind == "depth" else None
        return REGRESSIONS[self._loss](y, self.encode(x), mask, alone=alone)


def _widen(y: Tensor) -> Tensor:
    return y.to(torch.promote_types(y.dtype, torch.float32))
