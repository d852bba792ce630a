"""Segmenter: the class of each pixel, learned from masks (DeepLab v3+ of Seg2Eye, B.1)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.batches.coding import IGNORE, Coding
from lit_synth.batches.sets import Nested, pairs
from lit_synth.contracts.translator import Translation
from lit_synth.errors import InputError
from lit_synth.losses.reconstruction import share_of
from lit_synth.method import Method
from lit_synth.stages import Stage


class Segmenter(Method):
    """Train S(x) to give each pixel of an image the class that its mask has there.

    The loss is the cross-entropy, a mean over the pixels that have a class; with class weights w
    it is sum w_c l / sum w_c over them. SGD with Nesterov's momentum of 0.9, as Buehler et al.
    2019 (supplement, B.1) train DeepLab v3+.

    Follows https://github.com/mcbuehler/Seg2Eye.

    Deviations: the learning rate is the supplement's; the code multiplies it by the batch size.
    Masks are resized to the nearest pixel; the code's way makes classes that are in between.

    Args:
        network: Maps images (N, C, H, W) in [-1, 1] to logits (N, classes, H, W).
        classes: Number of classes of the masks.
        stages: The paper trains at a constant learning rate; the authors' DeepLab lets it fall.
        source: Name of the modality that is given.
        target: Name of the modality that is made, of kind labels.
        class_weights: Weight of each class; None: 1.
        lr: Learning rate.
        weight_decay: Weight of the squared weights.
    """

    def __init__(
        self,
        network: nn.Module,
        classes: int,
        stages: list[Stage],
        source: str = "image",
        target: str = "mask",
        class_weights: list[float] | None = None,
        lr: float = 5e-3,
        weight_decay: float = 5e-4,
    ) -> None:
        super().__init__(stages)
        self.network = network.to(memory_format=torch.channels_last)
        self.source, self.target = source, target
        self.coding = Coding("labels", classes)
        self.class_weights = _checked(class_weights, classes)
        self.lr, self.weight_decay = lr, weight_decay

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        weights = self.network.parameters()
        decay = self.weight_decay
        return [torch.optim.SGD(weights, self.lr, momentum=0.9, weight_decay=decay, nesterov=True)]

    def training_step(self, batch: Nested) -> None:
        x, mask = pairs(batch, self.source, self.target)
        (optimizer,) = self.optimizers()

        # Cross-entropy of the pixels that have a class, in all processes (supplement, B.1).
        logits = self._logits(x)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        weights = torch.tensor(self.class_weights, device=x.device, dtype=logits.dtype)
        known = mask != IGNORE
        total = F.cross_entropy(logits, mask, weights, ignore_index=IGNORE, reduction="sum")
        ce = total / share_of(weights[mask[known]].sum())
        self.minimize(ce, optimizer)
        right = (logits.argmax(1) == mask).sum() / share_of(known.sum())
        self.track(ce=ce, accuracy=right)

    def translations(self) -> list[Translation]:
        return [Translation((self.source,), (self.target,))]

    @torch.no_grad()
    def translate(self, x: dict[str, Tensor], translation: Translation) -> Tensor:  # noqa: ARG002 - the only one
        return self.coding.decode(self._logits(x[self.source]))

    def _logits(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(x.contiguous(memory_format=torch.channels_last))
        wanted = (self.coding.channels, *x.shape[2:])
        if logits.shape[1:] != wanted:
            raise InputError(
                f"the network makes {tuple(logits.shape[1:])} of images of {x.shape[2]}x"
                f"{x.shape[3]} pixels: expected logits {wanted}."
            )
        return logits


def _checked(weights: list[float] | None, classes: int) -> list[float]:
    """Return a weight for each class; InputError unless there is one above 0 for some."""
    if weights is None:
        return [1.0] * classes
    if len(weights) != classes or min(weights) < 0 or max(weights) <= 0:
        raise InputError(
            f"class_weights are {weights}: expected {classes} numbers, none below 0, some above."
        )
    return weights
