"""Penalties on a critic's input gradient, always in float32."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from lit_synth.errors import InputError

Critic = Callable[[Tensor], Tensor]
SlopeOf = Literal["mean", "sum"]

_OF_MAP: dict[SlopeOf, Callable[..., Tensor]] = {"mean": torch.mean, "sum": torch.sum}


def map_score(realness: Tensor, of: SlopeOf) -> Tensor:
    """Return the number whose slope a penalty looks at, of critics that score many places.

    Args:
        realness: Scores (N, 1, h, w).
        of: The `mean` of each image's map: what the adversarial terms see, so that their weight
            against the penalty's does not depend on the size of the map. Or its `sum`, as in
            StarGAN's code (https://github.com/yunjey/stargan at 94dd002): against the same penalty
            the adversarial terms of a map of h w scores then have an h w-th of that weight.

    Returns:
        A score (N,) of each image.
    """
    return _OF_MAP[of](realness.flatten(1), dim=1)


def gradient_penalty(critic: Critic, x_real: Tensor, x_fake: Tensor, alpha: Tensor) -> Tensor:
    """E[(||grad D(alpha x + (1 - alpha) x_fake)||_2 - 1)^2] (WGAN-GP, arXiv:1704.00028, eq 3).

    Args:
        critic: Maps images to scores, shape (N,) or (N, ...); each depends on its own image alone.
        x_real: Real images (N, C, H, W).
        x_fake: Generated images (N, C, H, W).
        alpha: One mixing weight per image (N, 1, 1, 1), drawn from U(0, 1) by the caller.

    Returns:
        Scalar mean over images, differentiable in the critic's weights, not in the images.

    Raises:
        InputError: If the shapes do not match.
    """
    expected = (len(x_real),) + (1,) * (x_real.ndim - 1)
    if x_real.shape != x_fake.shape or alpha.shape != expected:
        raise InputError(
            f"gradient_penalty got x_real {tuple(x_real.shape)}, x_fake {tuple(x_fake.shape)} and "
            f"alpha {tuple(alpha.shape)}; give images of one shape and one alpha per image, "
            f"{expected}."
        )
    x_mix = alpha * x_real + (1 - alpha) * x_fake
    return (_gradient_norm(critic, x_mix) - 1).square().mean()


def r1_penalty(critic: Critic, x_real: Tensor) -> Tensor:
    """E[||grad D(x)||_2^2] on real images (R1, arXiv:1801.04406, eq 9, without gamma / 2).

    Args:
        critic: Maps images to scores, shape (N,) or (N, ...); each depends on its own image alone.
        x_real: Real images (N, C, H, W).

    Returns:
        Scalar mean over images, differentiable in the critic's weights.
    """
    return _gradient_norm(critic, x_real).square().mean()


def scores_and_r1(critic: Critic, x_real: Tensor) -> tuple[Tensor, Tensor]:
    """Return the scores of real images and `r1_penalty` of one and the same pass.

    Args:
        critic: Maps images to scores, shape (N,) or (N, ...); each depends on its own image alone.
        x_real: Real images (N, C, H, W).

    Returns:
        Scores in float32 at least, and a scalar mean over images; both with their graph.
    """
    x = x_real.detach().to(torch.promote_types(x_real.dtype, torch.float32)).requires_grad_()
    with torch.autocast(x.device.type, enabled=False):
        scores = critic(x)
        (gradient,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
    return scores, gradient.square().flatten(1).sum(dim=1).mean()


def _gradient_norm(critic: Critic, x: Tensor) -> Tensor:
    """||grad_x D(x)||_2 over all pixels of each image, shape (N,), with its graph."""
    x = x.detach().to(torch.promote_types(x.dtype, torch.float32)).requires_grad_()
    with torch.autocast(x.device.type, enabled=False):
        (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return torch.linalg.vector_norm(gradient.flatten(1), dim=1)


def path_lengths(images: Tensor, w: Tensor, y: Tensor) -> Tensor:
    """||J_w^T y||_2, with y of the size that N(0, I) / sqrt(H W) has (StyleGAN2, arXiv:1912.04958).

    Of a w for each layer, it is the root of the mean over layers of what their squares add up to.

    Args:
        images: Generated images (N, C, H, W), with their graph from w.
        w: One for each layer (N, layers, w_dim), with gradients.
        y: Standard normal, like the images.

    Returns:
        Lengths (N,), with their graph.
    """
    y = y / (images.size(2) * images.size(3)) ** 0.5
    (gradient,) = torch.autograd.grad((images * y).sum(), w, create_graph=True)
    return gradient.square().sum(dim=2).mean(dim=1).sqrt()
