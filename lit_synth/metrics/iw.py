"""Independent Wasserstein critic (Danihelka et al. 2017, arXiv:1705.05263; thesis equation 2.6)."""

import torch
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.losses.adversarial import wasserstein_critic_loss
from lit_synth.losses.penalties import gradient_penalty


def iw(
    real: Tensor,
    fake: Tensor,
    iterations: int = 300,
    batch_size: int = 64,
    width: int = 32,
    seed: int = 0,
) -> float:
    """Train a fresh WGAN-GP critic on half of the images and score the other half with it.

    Equation 2.6 prints the distance, but the thesis's tables hold its negative; this returns what
    the tables hold, E[D(x_gen)] − E[D(x_val)]: at most about 0, and higher is better. It depends on
    critic and budget, so compare only values of equal arguments.

    Args:
        real: Real images (N, C, H, W) that the judged generator never saw, in [-1, 1].
        fake: Generated images (M, C, H, W), in [-1, 1].
        iterations: Critic updates.
        batch_size: Images of each kind per update, drawn with replacement.
        width: Channels of the critic's first layer.
        seed: Seed of the split, the critic's weights and the batches.
    """
    if real.shape[1:] != fake.shape[1:] or min(len(real), len(fake)) < 2:
        raise InputError(
            f"IW needs two or more real and generated images of one size, given shapes "
            f"{tuple(real.shape)} and {tuple(fake.shape)}; resize one side or add images."
        )
    rng = torch.Generator().manual_seed(seed)
    # The caller may be inside no_grad or inference_mode, but a critic is trained here.
    with torch.inference_mode(False), torch.enable_grad():
        real_train, real_test = _halves(real, rng)
        fake_train, fake_test = _halves(fake, rng)
        critic = _critic(real.shape[1], real.shape[2], width, seed).to(real.device)
        optimizer = torch.optim.Adam(critic.parameters(), 1e-3, betas=(0.5, 0.9))
        for _ in range(iterations):
            x = _batch(real_train, batch_size, rng)
            x_fake = _batch(fake_train, batch_size, rng)
            alpha = torch.rand(batch_size, 1, 1, 1, generator=rng).to(x.device)
            d_adv = wasserstein_critic_loss(critic(x), critic(x_fake))
            d_gp = gradient_penalty(critic, x, x_fake, alpha)
            optimizer.zero_grad()
            (d_adv + 10 * d_gp).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    with torch.no_grad():
        return float(
            wasserstein_critic_loss(_scores(critic, real_test), _scores(critic, fake_test))
        )


def _halves(images: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    order = torch.randperm(len(images), generator=rng).to(images.device)
    first, second = images.detach().float()[order].tensor_split(2)
    # Tensors made in inference mode cannot be trained on, their clones can.
    return first.clone(), second.clone()


def _batch(images: Tensor, batch_size: int, rng: torch.Generator) -> Tensor:
    return images[torch.randint(len(images), (batch_size,), generator=rng).to(images.device)]


def _scores(critic: nn.Module, images: Tensor) -> Tensor:
    return torch.cat([critic(chunk) for chunk in torch.split(images, 256)])


def _critic(channels: int, size: int, width: int, seed: int) -> nn.Module:
    """Convolutions of stride 2 down to 4 pixels, then one linear layer: scores (N, 1)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1), nn.LeakyReLU(0.2)]
        while size > 4:
            layers += [nn.Conv2d(width, 2 * width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
            width, size = 2 * width, size // 2
        head = [nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * width, 1)]
        return nn.Sequential(*layers, *head)
