"""Mixtures of samples of one domain: of images (mixup), or of features (ReMix)."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from lit_synth.augment.base import Rand
from lit_synth.errors import InputError
from lit_synth.tensors.draws import Draws
from lit_synth.tensors.processes import gathered

Sees = Literal["plain", "mix", "both"]
Hinge = Literal["sample", "element"]
MeanRule = Literal["average", "halved"]

KNOTS = 4097  # of the table of a distribution function
DECAY = 0.99  # of the running mean


class Relative(NamedTuple):
    """Losses of mixtures, relative to their parents.

    Attributes:
        p: The mixture is nearer to the greater parent than to the lesser (eq. 8), scalar.
        n: And nearer to the lesser parent than others are (eq. 9), scalar.
    """

    p: Tensor
    n: Tensor


class MixUp:
    """lam x_1 + (1 - lam) x_2 of two images of a domain (mixup, arXiv:1710.09412).

    Args:
        p: Share of the iterations that mix.
        beta: Parameter of the symmetric Beta distribution of lam, of which the greater side counts.
    """

    def __init__(self, p: float = 0.5, beta: float = 0.2) -> None:
        check_share("MixUp", p, beta)
        self.p, self.beta = p, beta

    def shares(self, n: int, rand: Rand, draws: Draws) -> Tensor | None:
        """Return lam (N, 1) in [.5, 1] where this iteration mixes, else None."""
        return draw_shares(self.p, self.beta, n, rand, draws)


class ReMix(nn.Module):
    """Mixes features, and asks of a mixture how near it is to its parents (Cao et al. 2021).

    e' = lam e_1 + (1 - lam) e_2 of two samples on their way to one domain, lam >= .5. The mixture
    s' of content distances d to the targets t_1, t_2 has no target of its own. With probability p
    what a method asks of its output is replaced by

        L_p = max(0, d(s', t_1) - d(s', t_2))   (eq. 8)
        L_n = max(0, d(s', t_2) - a)            (eq. 9)

    a being the running mean of d(s', t_k) to targets t_k of others, without a gradient. Targets get
    none either.

    The paper's supplement names the loss it replaces and p; the equations and what follows are
    reconstructed, with a choice wherever there was one.

    Args:
        p: Share of the iterations that mix; 0: none, the method as it is.
        beta: Parameter of the symmetric Beta distribution of lam, of which the greater side counts.
        mix_styles: Mix the styles that the decoder is given by lam, too? Otherwise it gets t_1,
            with which the first hinge is trivial.
        discriminator_sees: What it is shown as made in iterations that mix: `plain` outputs, which
            did best in trials, mixtures (`mix`), or `both`.
        hinge: Over the mean distance of a `sample`, or over that of each `element` of the code.
        mean: `average`: a <- .99 a + .01 d. `halved`: a <- .99 a + .01 (d - a), as in an unofficial
            port, which leads to half the mean distance.
    """

    others: Tensor
    updates: Tensor

    def __init__(
        self,
        p: float = 0.25,
        beta: float = 0.2,
        mix_styles: bool = True,
        discriminator_sees: Sees = "plain",
        hinge: Hinge = "sample",
        mean: MeanRule = "average",
    ) -> None:
        super().__init__()
        check_share("ReMix", p, beta)
        self.p, self.beta, self.mix_styles = p, beta, mix_styles
        self.discriminator_sees, self.hinge, self.mean = discriminator_sees, hinge, mean
        self.register_buffer("others", torch.zeros(()))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def shares(self, n: int, rand: Rand, draws: Draws) -> Tensor | None:
        """Return lam (N, 1) in [.5, 1] where this iteration mixes, else None."""
        return draw_shares(self.p, self.beta, n, rand, draws)

    def forward(self, code: Tensor, first: Tensor, second: Tensor, other: Tensor) -> Relative:
        """Return the losses of mixtures, and take note of how far others are.

        Args:
            code: What is seen of the mixtures (N, D).
            first: Targets t_1 of the parents of share lam (N, D).
            second: Targets t_2 of the others.
            other: Targets of samples that are no parents (N, D).
        """
        near, far, away = (self._distance(code, each) for each in (first, second, other))
        a = self._noted(away.detach())
        return Relative((near - far).relu().mean(), (far - a).relu().mean())

    def _distance(self, code: Tensor, target: Tensor) -> Tensor:
        apart = (code.float() if code.dtype.itemsize < 4 else code) - target.detach()
        return apart.abs().mean(dim=1) if self.hinge == "sample" else apart.abs()

    @torch.no_grad()
    def _noted(self, away: Tensor) -> Tensor:
        """Return the running mean, distances of this batch, which all processes have, included."""
        d = gathered(away).mean().to(self.others.dtype)
        if self.updates == 0:
            self.others.copy_(d if self.mean == "average" else (1 - DECAY) * d)
        else:
            step = d - self.others if self.mean == "average" else d - 2 * self.others
            self.others.add_((1 - DECAY) * step)
        self.updates.add_(1)
        return self.others.clone()


def mixed(x: Tensor, partner: Tensor, share: Tensor) -> Tensor:
    """Return lam x + (1 - lam) x[partner].

    Args:
        x: Of each sample (N, ...).
        partner: Positions (N,).
        share: lam (N, 1).
    """
    lam = share.to(x).reshape(-1, *[1] * (x.dim() - 1))
    return lam * x + (1 - lam) * x[partner]


def draw_shares(p: float, beta: float, n: int, rand: Rand, draws: Draws) -> Tensor | None:
    """Return max(mu, 1 - mu), mu ~ Beta(beta, beta), (N, 1), with probability p, else None.

    Args:
        p: At 0 nothing is drawn.
        beta: Parameter of the distribution.
        n: How many.
        rand: Draws from U(0, 1).
        draws: Of which the coin is one that all processes toss alike.
    """
    if not p or float(torch.rand((), generator=draws.rng)) >= p:
        return None
    return greater_side(rand(n, 1), beta)


def greater_side(u: Tensor, beta: float) -> Tensor:
    """Return max(mu, 1 - mu), mu ~ Beta(beta, beta), where u is uniform on [0, 1); of its shape.

    The lesser side m has a density like (m (1 - m))^(beta - 1) on [0, .5]; that of v = m^beta is
    like (1 - m)^(beta - 1), which has no pole, so that its integral can be read from a table.
    """
    v = torch.linspace(0, 0.5**beta, KNOTS, dtype=torch.float64)
    density = (1 - v ** (1 / beta)) ** (beta - 1)
    area = torch.cat([v.new_zeros(1), torch.cumulative_trapezoid(density, v)])
    area = area / area[-1]
    wanted = u.detach().double().cpu()
    k = torch.searchsorted(area, wanted, right=True).clamp(1, KNOTS - 1)
    part = (wanted - area[k - 1]) / (area[k] - area[k - 1])
    m = torch.lerp(v[k - 1], v[k], part) ** (1 / beta)
    return (1 - m).to(u)


def check_share(name: str, p: float, beta: float) -> None:
    """Raise InputError unless p is a probability and beta a parameter of a distribution."""
    if not 0 <= p <= 1:
        raise InputError(f"{name}.p is {p}: expected a share of iterations, from 0 to 1.")
    if beta <= 0:
        raise InputError(f"{name}.beta is {beta}: expected more than 0.")
