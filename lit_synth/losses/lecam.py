"""LeCam: keep a critic's scores near its running means (Tseng et al. 2021, arXiv:2104.03310)."""

import torch
from torch import Tensor, nn

from lit_synth.tensors.processes import gathered


class LeCam(nn.Module):
    """E[(D(x) - a_fake)^2] + E[(D(x_fake) - a_real)^2], a the running means of D (eq. 2 and 3).

    Each step moves the means first, of all processes alike; the first step starts them. Published
    code pays only where a score has passed the other mean, and only after 1,000 iterations.

    Args:
        weight: Of the term (paper: .3 with BigGAN; .01 suits StyleGAN2, whose scores are larger).
        decay: How much of a mean a step keeps.
    """

    a_real: Tensor
    a_fake: Tensor
    started: Tensor

    def __init__(self, weight: float = 0.3, decay: float = 0.99) -> None:
        super().__init__()
        self.weight, self.decay = weight, decay
        for name in ("a_real", "a_fake"):
            self.register_buffer(name, torch.zeros(()))
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))

    def forward(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the weighted term, a scalar, of the scores (N,) of real and generated images."""
        self._move(real.detach(), fake.detach())
        far = (real - self.a_fake).square().mean() + (fake - self.a_real).square().mean()
        return self.weight * far

    @torch.no_grad()
    def _move(self, real: Tensor, fake: Tensor) -> None:
        for mean, scores in ((self.a_real, real), (self.a_fake, fake)):
            now = gathered(scores).to(mean.dtype).mean()
            mean.copy_(torch.where(self.started, now.lerp(mean, self.decay), now))
        self.started.fill_(True)
