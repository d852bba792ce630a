"""Latent regression: a generator from known factors (Dosovitskiy et al. 2015, arXiv:1411.5928)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.contracts.generator import as_generator
from lit_synth.errors import InputError
from lit_synth.method import Method
from lit_synth.stages import Stage

COARSEST = 4  # pixels of the pyramid's last level


class LatentRegression(Method):
    """Minimise |G(z) - x| where the latent z of each image x is known.

    An image of a world is a function of its rolls u, uniform in (0, 1). With z = Phi^-1(u), Phi the
    normal distribution function, z is standard normal over all images: G learns the world's own map
    from a GAN's prior, without a game, and a GAN can go on from it. The first coordinates of z are
    the rolls'; the other ones, if there are any, are noise, and rolls for which there is no
    coordinate are left to the blur.

    Deviations: the paper has one-hot factors and squared errors. Errors here are absolute, of
    pixels and of a Laplacian pyramid as in GLO (Bojanowski et al. 2018, arXiv:1707.05776), whose
    filters are boxes.

    Args:
        generator: Maps z (N, latent_dim) to images (N, C, H, W).
        stages: Usually one.
        lambda_pixel: Weight of the mean absolute error of pixels.
        lambda_pyramid: Weight of that of the pyramid, summed over its levels.
        lr: Adam learning rate.
        betas: Adam's decay rates.
    """

    def __init__(
        self,
        generator: nn.Module,
        stages: list[Stage],
        lambda_pixel: float = 1.0,
        lambda_pyramid: float = 1.0,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.99),
    ) -> None:
        super().__init__(stages)
        self.generator = as_generator(generator)
        self.lambda_pixel, self.lambda_pyramid = lambda_pixel, lambda_pyramid
        self.lr, self.betas = lr, betas

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.generator.parameters(), self.lr, betas=self.betas, fused=True)

    def training_step(self, batch: dict[str, Tensor]) -> None:
        if "rolls" not in batch:
            raise InputError(
                "batches have no rolls to regress on: give a data module that knows them, such as "
                "Vehicles, with rolls: true."
            )
        x, rolls = batch["image"], batch["rolls"]
        (opt,) = self.optimizers()

        # Generator: the image of each latent, at every scale.
        error = self.generator(self.latents(rolls)) - x
        pixel = error.abs().mean()
        pyramid = torch.stack([level.abs().mean() for level in laplacian_pyramid(error)]).sum()
        self.minimize(self.lambda_pixel * pixel + self.lambda_pyramid * pyramid, opt)
        self.track(pixel=pixel, pyramid=pyramid)

    def latents(self, rolls: Tensor) -> Tensor:
        """Return z (N, latent_dim) of rolls (N, R), uniform in (0, 1)."""
        known = torch.special.ndtri(rolls)[:, : self.generator.latent_dim].to(self.dtype)
        noise = self.randn(len(rolls), self.generator.latent_dim - known.shape[1])
        return torch.cat([known, noise.to(known)], dim=1)

    def prior(self, n: int, rng: torch.Generator) -> dict[str, Tensor]:
        """Draw z (n, latent_dim) from a standard normal."""
        return {"z": torch.randn(n, self.generator.latent_dim, generator=rng)}

    @torch.no_grad()
    def generate(self, batch: dict[str, Tensor]) -> Tensor:
        return self.generator(batch["z"])


def laplacian_pyramid(x: Tensor) -> list[Tensor]:
    """Return what each halving loses, from fine to coarse, and what is left, of 4 to 7 pixels.

    As it is linear, the pyramid of a difference is the difference of pyramids. Pixels are averaged
    by fours and repeated, which is many times faster than Gaussian filters.

    Args:
        x: Images or differences (N, C, H, W).
    """
    levels = []
    while min(x.shape[-2:]) >= 2 * COARSEST:
        coarse = F.avg_pool2d(x, 2)
        levels.append(x - F.interpolate(coarse, size=x.shape[-2:]))
        x = coarse
    return [*levels, x]
