"""Adversarial terms of critics and generators, from scores alone."""

import torch
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


def lsgan_discriminator_loss(real: Tensor, fake: Tensor, real_label: float = 1.0) -> Tensor:
    """E[(D(x) - real_label)^2] + E[D(x_fake)^2] (LSGAN, arXiv:1611.04076, eq 9 without its 1/2).

    Args:
        real: Scores of real images, any shape.
        fake: Scores of generated images, any shape.
        real_label: What real images should score; below 1 smooths the label on one side.

    Returns:
        Scalar, float32 or wider.
    """
    return _mean_square(real, real_label) + _mean_square(fake, 0.0)


def lsgan_generator_loss(fake: Tensor) -> Tensor:
    """E[(D(x_fake) - 1)^2] (LSGAN, arXiv:1611.04076, eq 9 without its 1/2).

    Args:
        fake: Scores of generated images, any shape.

    Returns:
        Scalar, float32 or wider.
    """
    return _mean_square(fake, 1.0)


def _mean_square(x: Tensor, target: float) -> Tensor:
    # Widened first: the square of a bfloat16 score would keep two to three digits.
    return (_widen(x) - target).square().mean()


def _mean(x: Tensor) -> Tensor:
    # A mean taken in bfloat16 keeps two to three digits.
    return _widen(x).mean()


def _widen(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def logistic_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """-E[log s(D(x))] - E[log(1 - s(D(x_fake)))], s logistic (GAN, arXiv:1406.2661, eq 1).

    Args:
        real: Scores of real images, any shape.
        fake: Scores of generated images, any shape.

    Returns:
        Scalar, float32 or wider.
    """
    return _mean_softplus(-real) + _mean_softplus(fake)


def logistic_generator_loss(fake: Tensor) -> Tensor:
    """-E[log s(D(x_fake))], the form that does not saturate (GAN, section 3).

    Args:
        fake: Scores of generated images, any shape.

    Returns:
        Scalar, float32 or wider.
    """
    return _mean_softplus(-fake)


def _mean_softplus(x: Tensor) -> Tensor:
    # -log s(x) = softplus(-x).
    return F.softplus(_widen(x)).mean()


def relativistic_loss(scores: Tensor, others: Tensor) -> Tensor:
    """E[softplus(-(D(x) - D(x'))], pair by pair (R3GAN, arXiv:2501.05441, eq 2).

    The critic has it of real against generated images, the generator the other way round.

    Args:
        scores: Scores (N,) of the images that are to be taken for the more real ones.
        others: Scores (N,) of those that each is paired with.

    Returns:
        Scalar, float32 or wider.
    """
    return _mean_softplus(others - scores)
