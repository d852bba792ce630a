"""Games: what critic and generator play for, given whole to a method that trains them."""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from lit_synth.contracts.generator import Generator, HasStyles
from lit_synth.errors import InputError
from lit_synth.losses.adversarial import (
    hinge_critic_loss,
    logistic_discriminator_loss,
    logistic_generator_loss,
    relativistic_loss,
    wasserstein_critic_loss,
    wasserstein_generator_loss,
)
from lit_synth.losses.penalties import Critic, gradient_penalty, path_lengths, r1_penalty
from lit_synth.tensors.processes import gathered

Draw = Callable[..., Tensor]

R1_PER_PIXEL = 2e-4  # gamma times batch, over the pixels of an image
PATH_DECAY = 0.99  # of the mean path length, a step of the penalty


class Penalty(NamedTuple):
    """What a step of a player pays besides its adversarial loss.

    Attributes:
        loss: Weighted; to be added to the loss.
        terms: Name -> value without its weight, to be logged; none in a step that pays nothing.
    """

    loss: Tensor
    terms: dict[str, Tensor]


class Game(nn.Module):
    """Losses of both players as functions of scores, and the penalties that go with them.

    Penalties look at the images that the critic sees, so after augmentation.

    Args:
        settings: Of the game, JSON values, for the releases of those who play it.

    Attributes:
        init_args: These settings.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.init_args = settings

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the critic's adversarial loss of the scores (N,) of real and generated images."""
        raise NotImplementedError

    def generator_loss(self, fake: Tensor, real: Callable[[], Tensor]) -> Tensor:
        """Return the generator's adversarial loss.

        Args:
            fake: Scores (N,) of generated images.
            real: Returns the scores (N,) of real ones, for games that need them.
        """
        raise NotImplementedError

    def penalty(
        self,
        critic: Critic,
        x: Tensor,
        x_fake: Tensor,
        rand: Draw,
        step: int,
    ) -> Penalty:
        """Return what the critic pays for its slope.

        Args:
            critic: Maps images to scores (N,).
            x: Real images (N, C, H, W).
            x_fake: Generated images of the same shape.
            rand: Draws from U(0, 1).
            step: Steps that the critic has taken.
        """
        return free(x_fake)

    def path_penalty(
        self,
        generator: Generator,
        z: Tensor,
        randn: Draw,
        step: int,
    ) -> Penalty:
        """Return what the generator pays for its own slope.

        Args:
            generator: Maps z to images.
            z: Latents (N, latent_dim).
            randn: Draws from N(0, I).
            step: Steps that the generator has taken.
        """
        return free(z)

    def boundary(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the score above which an image counts as taken for real.

        Halfway between the means, where a score of 0 means nothing, unless overridden.
        """
        return (gathered(real.detach()).float().mean() + gathered(fake.detach()).float().mean()) / 2

    def r_t(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return E[sign(D(x) - boundary)] of real training images (ADA, arXiv:2006.06676, eq 1).

        It is 0 where the critic is at a loss, and 1 where it knows its images by heart. All
        processes count.
        """
        everyones = gathered(real.detach()).float()
        return (everyones - self.boundary(real, fake)).sign().mean()


class WGANGP(Game):
    """D estimates the Wasserstein distance, with slope 1 (Gulrajani 2017, arXiv:1704.00028).

    Args:
        lambda_gp: Weight of the gradient penalty.
    """

    def __init__(self, lambda_gp: float = 10.0) -> None:
        super().__init__(lambda_gp=lambda_gp)
        self.lambda_gp = lambda_gp

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return wasserstein_critic_loss(real, fake)

    def generator_loss(self, fake: Tensor, real: Callable[[], Tensor]) -> Tensor:
        return wasserstein_generator_loss(fake)

    def penalty(
        self,
        critic: Critic,
        x: Tensor,
        x_fake: Tensor,
        rand: Draw,
        step: int,
    ) -> Penalty:
        d_gp = gradient_penalty(critic, x, x_fake, rand(len(x), 1, 1, 1))
        return Penalty(self.lambda_gp * d_gp, {"d_gp": d_gp})


class Logistic(Game):
    """D is a classifier, G maximises log D(G(z)); R1 and path length (StyleGAN2, arXiv:1912.04958).

    R1 is gamma / 2 E[|grad D(x)|^2] on real images. A lazy penalty is paid every so many steps, and
    then so many times. Published code takes a step of its own for it, with other momenta; here it
    joins the loss of the step. It looks at augmented images, where published code differentiates
    through the augmentation. The path length is pulled to its own running mean, which is taken as a
    constant, on the first half of the batch.

    Args:
        gamma: Weight of R1; `lit-synth presets` computes one for a size of images.
        every: Critic steps from one R1 to the next.
        lambda_path: Weight of the path length, for generators with a w alone: 2 in StyleGAN2.
        path_every: Generator steps from one path length to the next.
    """

    path_mean: Tensor

    def __init__(
        self, gamma: float = 1.0, every: int = 16, lambda_path: float = 0.0, path_every: int = 4
    ) -> None:
        super().__init__(gamma=gamma, every=every, lambda_path=lambda_path, path_every=path_every)
        check_laziness("Logistic", every=every, path_every=path_every)
        self.gamma, self.every = gamma, every
        self.lambda_path, self.path_every = lambda_path, path_every
        self.register_buffer("path_mean", torch.zeros(()))

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return logistic_discriminator_loss(real, fake)

    def generator_loss(self, fake: Tensor, real: Callable[[], Tensor]) -> Tensor:
        return logistic_generator_loss(fake)

    def penalty(
        self,
        critic: Critic,
        x: Tensor,
        x_fake: Tensor,
        rand: Draw,
        step: int,
    ) -> Penalty:
        if not self.gamma or step % self.every:
            return free(x_fake)
        d_r1 = r1_penalty(critic, x)
        return Penalty(self.every * self.gamma / 2 * d_r1, {"d_r1": d_r1})

    def path_penalty(self, generator: Generator, z: Tensor, randn: Draw, step: int) -> Penalty:
        if not self.lambda_path or step % self.path_every:
            return free(z)
        if not isinstance(generator, HasStyles):
            raise InputError(
                f"Logistic.lambda_path is {self.lambda_path}, but {type(generator).__name__} has "
                "no w: leave it at 0."
            )
        with torch.autocast(z.device.type, enabled=False):
            w = generator.to_w(z[: max(len(z) // 2, 1)])
            w = w if w.requires_grad else w.requires_grad_()  # of a frozen mapping
            images = cast("Tensor", generator.synthesis(w))
            lengths = path_lengths(images, w, randn(*images.shape))
        with torch.no_grad():
            mean = gathered(lengths.detach()).mean()
            self.path_mean.copy_(mean.lerp(self.path_mean.to(mean), PATH_DECAY))
        g_path = (lengths - self.path_mean).square().mean()
        return Penalty(self.path_every * self.lambda_path * g_path, {"g_path": g_path})

    def boundary(self, real: Tensor, fake: Tensor) -> Tensor:
        return real.new_zeros(())


class Hinge(Game):
    """D pushes real above 1 and generated below -1, without a penalty (SNGAN, arXiv:1802.05957).

    It wants a critic whose slope is bounded by itself, as spectral norm does.
    """

    def __init__(self) -> None:
        super().__init__()

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return hinge_critic_loss(real, fake)

    def generator_loss(self, fake: Tensor, real: Callable[[], Tensor]) -> Tensor:
        return wasserstein_generator_loss(fake)

    def boundary(self, real: Tensor, fake: Tensor) -> Tensor:
        return real.new_zeros(())


class Relativistic(Game):
    """D tells each real image from a generated one beside it, R1 and R2 (R3GAN, arXiv:2501.05441).

    gamma / 2 E[|grad D|^2] is paid on real images (R1) and on generated ones (R2), in every step.

    Args:
        gamma: Weight of both penalties.
    """

    def __init__(self, gamma: float = 1.0) -> None:
        super().__init__(gamma=gamma)
        self.gamma = gamma

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return relativistic_loss(real, fake)

    def generator_loss(self, fake: Tensor, real: Callable[[], Tensor]) -> Tensor:
        return relativistic_loss(fake, real())

    def penalty(
        self,
        critic: Critic,
        x: Tensor,
        x_fake: Tensor,
        rand: Draw,
        step: int,
    ) -> Penalty:
        d_r1, d_r2 = r1_penalty(critic, x), r1_penalty(critic, x_fake)
        return Penalty(self.gamma / 2 * (d_r1 + d_r2), {"d_r1": d_r1, "d_r2": d_r2})


def r1_gamma(image_size: int, batch_size: int) -> float:
    """Return the weight of R1 as https://github.com/NVlabs/stylegan2-ada-pytorch computes it."""
    return R1_PER_PIXEL * image_size**2 / batch_size


def free(like: Tensor) -> Penalty:
    """Return the penalty of a step that pays none."""
    return Penalty(like.new_zeros(()), {})


def check_laziness(game: str, **periods: int) -> None:
    """Raise InputError unless all periods are at least 1."""
    for name, period in periods.items():
        if period < 1:
            raise InputError(f"{game}.{name} is {period}: expected at least 1, for every step.")
