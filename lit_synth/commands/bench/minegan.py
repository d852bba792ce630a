"""How much MineGAN's selective backpropagation saves over the full graph of all members' images."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor

from lit_synth.commands.bench.timing import synchronise
from lit_synth.losses.adversarial import wasserstein_critic_loss, wasserstein_generator_loss
from lit_synth.losses.games import WGANGP
from lit_synth.losses.penalties import gradient_penalty
from lit_synth.methods import MineGAN


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
    """Time every form of both losses in turn; all forms of a loss must have the same gradient.

    Args:
        method: With several members, attached to a trainer.
        x: Real images (K, C, H, W).
        pairs: Rounds that are timed, after one that is not.

    Returns:
        Name -> median speed-up over a full-graph form.
    """
    opt_m, opt_d = method.optimizers()
    critic_forms: list[Loss] = [critic_loss, full_critic_loss, full_critic_loss_all_slopes]
    miner_forms: list[Loss] = [miner_loss, full_miner_loss]
    critic, miner = [], []
    for _ in range(1 + pairs):
        draws = Draws(
            x=x,
            u=torch.randn(len(x), len(method.members), method.u_dim, device=x.device),
            alpha=torch.rand(len(x), 1, 1, 1, device=x.device),
        )
        critic.append(_seconds(method, opt_d, critic_forms, draws))
        miner.append(_seconds(method, opt_m, miner_forms, draws))
    n = method.n_critic
    names = [f"{n} critic and 1 miner step", "the same, with all slopes"]
    ratios: dict[str, list[float]] = {name: [] for name in ("critic step", "miner step", *names)}
    for (d, d_full, d_slopes), (m, m_full) in zip(critic[1:], miner[1:], strict=True):
        ratios["critic step"].append(d_full / d)
        ratios["miner step"].append(m_full / m)
        ratios[names[0]].append((n * d_full + m_full) / (n * d + m))
        ratios[names[1]].append((n * d_slopes + m_full) / (n * d + m))
    return {f"selective speed-up, {k}": statistics.median(taken) for k, taken in ratios.items()}


def _seconds(
    method: MineGAN, optimizer: LightningOptimizer, forms: list[Loss], draws: Draws
) -> list[float]:
    """Seconds of each form of a loss with its gradient, which must be the first one's."""
    taken = [_timed_gradient(method, optimizer, form, draws) for form in forms]
    expected = taken[0][1]
    bound = 0.1 if torch.is_autocast_enabled(draws.x.device.type) else 1e-4
    for form, (_, gradient) in zip(forms, taken, strict=True):
        distance = (gradient - expected).norm() / expected.norm()
        assert distance < bound, f"{form.__name__} has a gradient {distance:.1e} away"
    return [seconds for seconds, _ in taken]


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


def lambda_gp(method: MineGAN) -> float:
    """Return the weight of the gradient penalty of a method that plays WGAN-GP."""
    assert isinstance(method.game, WGANGP)
    return method.game.lambda_gp


def critic_loss(method: MineGAN, draws: Draws) -> Tensor:
    """The critic's loss as the method computes it: of the winners alone (thesis eq. 3.5)."""
    x_fake, _ = method.best_of(draws.u)
    real, fake = method.critic(torch.cat([draws.x, x_fake])).chunk(2)
    penalty = gradient_penalty(method.critic, draws.x, x_fake, draws.alpha)
    return wasserstein_critic_loss(real, fake) + lambda_gp(method) * penalty


def full_critic_loss(method: MineGAN, draws: Draws) -> Tensor:
    """The critic's loss from the scores of all members' images, all with graph."""
    images, fake, winner = _best_of_all(method, draws.u)
    penalty = gradient_penalty(method.critic, draws.x, _pick(images, winner), draws.alpha)
    return wasserstein_critic_loss(method.critic(draws.x), fake) + lambda_gp(method) * penalty


def full_critic_loss_all_slopes(method: MineGAN, draws: Draws) -> Tensor:
    """The same, with every member's slope before the winners' are kept, as in the released code."""
    images, fake, winner = _best_of_all(method, draws.u)
    alpha = draws.alpha[:, None]
    mixed = (alpha * draws.x[:, None] + (1 - alpha) * images).detach().requires_grad_()
    scores = method.critic(mixed.flatten(0, 1))
    (gradient,) = torch.autograd.grad(scores.sum(), mixed, create_graph=True)
    slope = torch.linalg.vector_norm(gradient.flatten(2), dim=2)
    penalty = (_pick(slope, winner) - 1).square().mean()
    return wasserstein_critic_loss(method.critic(draws.x), fake) + lambda_gp(method) * penalty


def miner_loss(method: MineGAN, draws: Draws) -> Tensor:
    """The miners' loss through the winners alone (thesis eq. 3.6), as the method has it of many."""
    _, winner = method.best_of(draws.u)
    return wasserstein_generator_loss(method.critic(method.decode_winners(draws.u, winner)))


def full_miner_loss(method: MineGAN, draws: Draws) -> Tensor:
    """The miners' loss through all members' images, all with graph."""
    return wasserstein_generator_loss(_best_of_all(method, draws.u)[1])


def _best_of_all(method: MineGAN, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Images (K, members, C, H, W) of all members, the best scores (K,), and whose they are."""
    images = torch.stack([method.mine(u[:, i], i) for i in range(len(method.members))], dim=1)
    best = method.critic(images.flatten(0, 1)).view(len(u), -1).max(dim=1)
    return images, best.values, best.indices


def _pick(values: Tensor, member: Tensor) -> Tensor:
    """Entries (K, ...) of values (K, members, ...) that belong to one member each (K,)."""
    return values[torch.arange(len(values), device=values.device), member]
