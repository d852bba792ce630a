"""Terms on latents: VAE's KL, BSA's earth mover's distance, StEP's triplets."""

from torch import Tensor


def kl_to_standard_normal(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mu, exp(logvar)) || N(0, I)), summed over coordinates (VAE, arXiv:1312.6114, app. B).

    Args:
        mu: Means (N, d).
        logvar: Logarithms of the variances (N, d).

    Returns:
        Scalar mean over the batch, in nats.
    """
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(dim=1).mean()


def latent_emd(z: Tensor, r: Tensor) -> Tensor:
    """Two-sided squared distance to the nearest neighbour between latents and prior samples.

    Stands in for the earth mover's distance in BSA (Noguchi & Harada 2019, arXiv:1904.01774); our
    reading averages over each side, so that the term does not depend on the numbers of samples.

    Args:
        z: Learned latents (N, d).
        r: Samples of the prior (M, d); BSA takes M = 10 N.

    Returns:
        Scalar mean over r of min over z, plus mean over z of min over r, of |z - r|^2.
    """
    squared = (z[:, None] - r).square().sum(dim=2)
    return squared.amin(dim=0).mean() + squared.amin(dim=1).mean()


def triplet_loss(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """max(0, |z_a - z_p|^2 - |z_a - z_n|^2 + margin) (StEP, arXiv:2104.07098, section 3.1).

    Args:
        anchor: Codes z_a (N, d).
        positive: Codes z_p of what is to be near.
        negative: Codes z_n of what is to be far.
        margin: By how much further.

    Returns:
        Scalar mean over the batch.
    """
    near = (anchor - positive).square().sum(dim=1)
    far = (anchor - negative).square().sum(dim=1)
    return (near - far + margin).clamp(min=0).mean()
