"""Inversion: the w of each layer from which a generator makes an image, by optimisation."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_synth.networks.stylegan2 import SynthesisNetwork

Distance = Callable[[Tensor, Tensor], Tensor]
SCALES = 4  # of the pixel loss, each half the one before


@torch.enable_grad()
def inverted(
    synthesis: SynthesisNetwork,
    images: Tensor,
    candidates: Tensor,
    steps: int = 300,
    lr: float = 0.02,
    perceptual: Distance | None = None,
) -> Tensor:
    """Return w of every layer (N, layers, w_dim) whose images come near those that are given.

    It starts from the candidate of the nearest image, and descends by Adam, whose rate is in units
    of the candidates' deviation and falls as a cosine to 0. Of N images each goes its own way.

    Args:
        synthesis: Maps w to images; its weights stay.
        images: What is to be made (N, C, H, W).
        candidates: w of some samples (M, layers, w_dim).
        steps: Of the descent.
        lr: Rate of Adam.
        perceptual: Scalar distance of two batches of images, added to that of pixels.
    """
    with torch.no_grad():
        made = torch.cat([synthesis(some) for some in candidates.split(64)])
        small, wanted = (F.avg_pool2d(each, 2).flatten(1) for each in (made, images))
        w = candidates[torch.cdist(wanted, small, p=1).argmin(1)].clone()
        unit = candidates.flatten(0, 1).std(0).mean()
    offset = torch.zeros_like(w, requires_grad=True)
    optimizer = torch.optim.Adam([offset], lr)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        found = synthesis(w + unit * offset)
        loss = _pixel_distance(found, images)
        if perceptual is not None:
            loss = loss + perceptual(found, images)
        # The mean over images: Adam's steps do not depend on how many there are.
        (offset.grad,) = torch.autograd.grad(loss, [offset])
        optimizer.step()
        scheduler.step()
    return (w + unit * offset).detach()


def _pixel_distance(made: Tensor, images: Tensor) -> Tensor:
    """Return the sum over scales of the mean absolute difference of pixels."""
    difference, terms = made - images, []
    for _ in range(SCALES):
        terms.append(difference.abs().mean())
        difference = F.avg_pool2d(difference, 2)
    return torch.stack(terms).sum()
