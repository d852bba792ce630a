"""Seg2Eye's refiner: a person's nearest image, corrected to a mask (Buehler et al. 2019, B.2)."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from lit_synth.batches.label_maps import check_classes, checked_ids
from lit_synth.batches.references import references_of
from lit_synth.batches.sets import Nested, examples, pairs
from lit_synth.contracts.translator import Translation
from lit_synth.errors import InputError
from lit_synth.method import Method
from lit_synth.releases.format import SELF, load_release
from lit_synth.stages import Stage

OPENEDS_GREYS = [125.739, 103.193, 76.508, 34.129]  # of skin, sclera, iris and pupil
CLIP = 5.0  # of the gradient's norm


class Seg2EyeRefiner(Method):
    """Train y = I + R(c(m), I, c(S(I))), cut to [-1, 1], to be a person's image with the mask m.

    I is an image of the person, S a frozen segmenter, and c gives each class its mean grey. The
    loss is the mean of the challenge's distances ||127.5 (y - x)||_2 / (H W), which y is measured
    by. SGD with Nesterov's momentum of 0.99, whose gradients have a norm of 5 at most.

    Follows https://github.com/mcbuehler/Seg2Eye and the supplement, B.2.

    Deviations: the learning rate is the supplement's; the code has 8 times as much. Of several
    images of a person, that is corrected whose mask is the nearest; the code is given one.

    Args:
        network: R, which maps images (N, 3, H, W) to a residual (N, 1, H, W).
        segmenter: Release of a `Segmenter` of grey images: its folder.
        stages: The code halves the learning rate every 5 of 100 epochs.
        source: Name of the masks, of kind labels.
        target: Name of the images, which are grey.
        greys: Grey level of each class, 0 to 255; the default is OpenEDS'.
        lr: Learning rate.
        momentum: Nesterov's.
        weight_decay: Weight of the squared weights.
    """

    def __init__(
        self,
        network: nn.Module,
        segmenter: str,
        stages: list[Stage],
        source: str = "mask",
        target: str = "image",
        greys: list[float] = OPENEDS_GREYS,
        lr: float = 0.01,
        momentum: float = 0.99,
        weight_decay: float = 1e-3,
    ) -> None:
        super().__init__(stages)
        self.network = network.to(memory_format=torch.channels_last)
        self.segmenter = read_segmenter(segmenter)
        self.source, self.target, self.references = source, target, "references"
        self.greys = greys
        self.lr, self.momentum, self.weight_decay = lr, momentum, weight_decay

    def setup(self, stage: str) -> None:
        if stage == "fit":
            data = getattr(self.trainer, "datamodule", None)
            check_classes(data, self.source, len(self.greys))

    def configure_optimizers(self) -> list[Optimizer]:
        weights, decay = self.network.parameters(), self.weight_decay
        return [SGD(weights, self.lr, self.momentum, weight_decay=decay, nesterov=True)]

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:  # noqa: ARG002 - the only one
        nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)

    def training_step(self, batch: Nested) -> None:
        ids, x = pairs(batch, self.source, self.target)
        (optimizer,) = self.optimizers()

        # The challenge's distance to the person's image with this mask (supplement, B.2).
        y = self._refined(ids, examples(batch, self.references))
        score = distances(y, x).mean()
        self.minimize(score, optimizer)
        self.track(score=score)

    def translations(self) -> list[Translation]:
        return [Translation((self.source,), (self.target,))]

    @torch.no_grad()
    def translate(self, x: dict[str, Tensor], translation: Translation) -> Tensor:  # noqa: ARG002 - the only one
        ids = checked_ids(x[self.source], len(self.greys), self.source)
        shown = references_of(x, self.references, "Seg2EyeRefiner")
        return self._refined(ids, shown).float()

    def _refined(self, ids: Tensor, shown: Tensor) -> Tensor:
        """Return the images (N, 1, H, W) of masks, from the nearest of R images (N, R, 1, H, W)."""
        masks = self._masks(shown.flatten(0, 1)).view(*shown.shape[:2], *ids.shape[1:])
        nearest = (masks != ids[:, None]).sum((2, 3)).argmin(1)
        rows = torch.arange(len(ids), device=ids.device)
        image, mask = shown[rows, nearest], masks[rows, nearest]
        given = torch.cat([self._grey(ids, image), image, self._grey(mask, image)], 1)
        residual = self.network(given.contiguous(memory_format=torch.channels_last))
        return (image + residual).clamp(-1, 1)

    @torch.no_grad()
    def _masks(self, images: Tensor) -> Tensor:
        logits: Tensor = self.segmenter(images.contiguous(memory_format=torch.channels_last))
        return logits.argmax(1)

    def _grey(self, ids: Tensor, like: Tensor) -> Tensor:
        """Return the grey level of each pixel's class, (N, 1, H, W) in [-1, 1]; 0 for none."""
        levels = torch.tensor([*self.greys, 127.5], dtype=like.dtype) / 127.5 - 1
        return levels.to(like.device)[ids.clamp(max=len(self.greys))][:, None]

    def train(self, mode: bool = True) -> "Seg2EyeRefiner":
        """Switch the network alone: the segmenter's statistics must stay."""
        super().train(mode)
        self.segmenter.eval()
        return self

    def released_settings(self) -> dict[str, Any]:
        return {"segmenter": SELF}


def distances(y: Tensor, x: Tensor) -> Tensor:
    """Return ||127.5 (y - x)||_2 / (H W) of images (N, C, H, W) in [-1, 1]: (N,)."""
    wide = torch.promote_types(y.dtype, torch.float32)
    norms = torch.linalg.vector_norm((y.to(wide) - x.to(wide)).flatten(1), dim=1)
    return 127.5 * norms / (x.shape[2] * x.shape[3])


def read_segmenter(folder: str) -> nn.Module:
    """Return the frozen network of a Segmenter's release, or of a refiner's; InputError if none."""
    release = load_release(folder)
    name = "segmenter" if "segmenter" in release.networks else "network"
    if name not in release.networks:
        raise InputError(
            f"the release {folder} holds {', '.join(release.networks)}, which is no segmenter: "
            "train one with Segmenter."
        )
    return release.networks[name].requires_grad_(False).eval()
