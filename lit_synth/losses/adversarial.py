"""Adversarial terms of critics and generators, from scores alone."""

import torch.nn.functional as F
from torch import Tensor


def wasserstein_critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """E[D(x_fake)] - E[D(x)], without the gradient penalty (WGAN, arXiv:1701.07875; thesis eq 2.3).

    Args:
        real: Scores of real images, any shape.
        fake: Scores of generated images, any shape.

    Returns:
        Scalar, float32 or wider; minus it estimates the Wasserstein distance.
    """
    return _mean(fake) - _mean(real)


def wasserstein_generator_loss(fake: Tensor) -> Tensor:
    """-E[D(x_fake)] (WGAN, arXiv:1701.07875; thesis eq 2.4).

    Args:
        fake: Scores of generated images, any shape.

    Returns:
        Scalar, float32 or wider. A hinge generator minimises the same term.
    """
    return -_mean(fake)


def hinge_critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """E[max(0, 1 - D(x))] + E[max(0, 1 + D(x_fake))] (SNGAN, arXiv:1802.05957, eq 16).

    Args:
        real: Scores of real images, any shape.
        fake: Scores of generated images, any shape.

    Returns:
        Scalar, float32 or wider.
    """
    return _mean(F.relu(1 - real)) + _mean(F.relu(1 + fake))


def _mean(x: Tensor) -> Tensor:
    # A mean taken in bfloat16 keeps two to three digits.
    return x.mean() if x.is_floating_point() and x.itemsize >= 4 else x.float().mean()
