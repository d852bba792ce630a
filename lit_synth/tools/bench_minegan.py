"""How much MineGAN's selective backpropagation saves over the full graph of all members' images."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor

from lit_synth.losses.adversarial import wasserstein_critic_loss, wasserstein_generator_loss
from lit_synth.losses.penalties import gradient_penalty
from lit_synth.methods import MineGAN
from lit_synth.tools.timing import synchronise


@dataclass(frozen=True)
class Draws:
    """What a step is computed from, the same for both forms.

    Attributes:
        x: Real images (K, C, H, W).
        u: Miner inputs (K, members, u_dim).
        alpha: Mixing weights (K, 1, 1, 1) of the gradient penalty.
    """

    x: Tensor
    u: Tensor
    alpha: Tensor


Loss = Callable[[MineGAN, Draws], Tensor]


def selective_against_full(method: MineGAN, x: Tensor, pairs: int) -> dict[str, float]:
    """Time both forms of both losses in turn; their gradients must agree.

    Args:
        method: With several members, attached to a trainer.
        x: Real images (K, C, H, W).
        pairs: Timed ones, after one that is not.

    Returns:
        Name -> median speed-up of the critic's step, the miners' step, and n_critic of the one
        with one of the other.
    """
    opt_m, opt_d = method.optimizers()
    critic, miner = [], []
    for _ in range(1 + pairs):
        draws = Draws(
            x=x,
            u=torch.randn(len(x), len(method.members), method.u_dim, device=x.device),
            alpha=torch.rand(len(x), 1, 1, 1, device=x.device),
        )
        critic.append(_pair(method, opt_d, critic_loss, full_critic_loss, draws))
        miner.append(_pair(method, opt_m, miner_loss, full_miner_loss, draws))
    n = method.n_critic
    whole = [(n * d[0] + m[0], n * d[1] + m[1]) for d, m in zip(critic, miner, strict=True)]
    timed = {"critic step": critic, "miner step": miner, f"{n} critic and 1 miner step": whole}
    return {
        f"selective speed-up, {name}": statistics.median(full / own for own, full in taken[1:])
        for name, taken in timed.items()
    }


def _pair(
    method: MineGAN, optimizer: LightningOptimizer, selective: Loss, full: Loss, draws: Draws
) -> tuple[float, float]:
    """Seconds of a loss with its gradient in the selective form, and in the full one."""
    own_seconds, own = _timed_gradient(method, optimizer, selective, draws)
    full_seconds, expected = _timed_gradient(method, optimizer, full, draws)
    distance = (own - expected).norm() / expected.norm()
    bound = 0.1 if torch.is_autocast_enabled(draws.x.device.type) else 1e-4
    assert distance < bound, f"gradients differ by {distance:.1e} of their length"
    return own_seconds, full_seconds


def _timed_gradient(
    method: MineGAN, optimizer: LightningOptimizer, loss: Loss, draws: Draws
) -> tuple[float, Tensor]:
    synchronise(draws.x.device)
    start = time.perf_counter()
    with method.toggled_optimizer(optimizer):
        groups = (group["params"] for group in optimizer.param_groups)
        trained = [p for params in groups for p in params if p.requires_grad]
        # A member that never wins has no graph in the selective form: its gradient is 0.
        found = torch.autograd.grad(
            loss(method, draws), trained, allow_unused=True, materialize_grads=True
        )
    synchronise(draws.x.device)
    return time.perf_counter() - start, torch.cat([g.flatten() for g in found])


def critic_loss(method: MineGAN, draws: Draws) -> Tensor:
    """The critic's loss as the method computes it: of the winners alone (thesis eq. 3.5)."""
    x_fake, _ = method.best_of(draws.u)
    real, fake = method.critic(torch.cat([draws.x, x_fake])).chunk(2)
    penalty = gradient_penalty(method.critic, draws.x, x_fake, draws.alpha)
    return wasserstein_critic_loss(real, fake) + method.lambda_gp * penalty


def full_critic_loss(method: MineGAN, draws: Draws) -> Tensor:
    """The critic's loss from the scores of all members' images, all with graph."""
    images = everyones_images(method, draws.u)
    fake, winner = method.critic(images.flatten(0, 1)).view(len(images), -1).max(dim=1)
    x_fake = images[torch.arange(len(images), device=images.device), winner]
    penalty = gradient_penalty(method.critic, draws.x, x_fake, draws.alpha)
    return wasserstein_critic_loss(method.critic(draws.x), fake) + method.lambda_gp * penalty


def miner_loss(method: MineGAN, draws: Draws) -> Tensor:
    """The miners' loss as the method computes it: through the winners alone (thesis eq. 3.6)."""
    _, winner = method.best_of(draws.u)
    return wasserstein_generator_loss(method.critic(method.decode_winners(draws.u, winner)))


def full_miner_loss(method: MineGAN, draws: Draws) -> Tensor:
    """The miners' loss through all members' images, all with graph."""
    images = everyones_images(method, draws.u)
    scores = method.critic(images.flatten(0, 1)).view(len(images), -1)
    return wasserstein_generator_loss(scores.max(dim=1).values)


def everyones_images(method: MineGAN, u: Tensor) -> Tensor:
    """Images (K, members, C, H, W) of all members, with graph wherever something trains."""
    return torch.stack([method.mine(u[:, i], i) for i in range(len(method.members))], dim=1)
