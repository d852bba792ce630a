"""The first GAN's terms, from scores (logits) alone (Goodfellow et al. 2014, arXiv:1406.2661)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def logistic_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """-E[log s(D(x))] - E[log(1 - s(D(x_fake)))], s the logistic function (eq 1).

    Args:
        real: Scores of real images, any shape.
        fake: Scores of generated images, any shape.

    Returns:
        Scalar, float32 or wider.
    """
    return _mean_softplus(-real) + _mean_softplus(fake)


def logistic_generator_loss(fake: Tensor) -> Tensor:
    """-E[log s(D(x_fake))], the form that does not saturate (section 3).

    Args:
        fake: Scores of generated images, any shape.

    Returns:
        Scalar, float32 or wider.
    """
    return _mean_softplus(-fake)


def _mean_softplus(x: Tensor) -> Tensor:
    # -log s(x) = softplus(-x); a mean taken in bfloat16 keeps two to three digits.
    return F.softplus(x.to(torch.promote_types(x.dtype, torch.float32))).mean()
