"""VAE: a decoder learned by maximum likelihood (Kingma & Welling 2014, arXiv:1312.6114)."""

import torch
from torch import Tensor, nn

from lit_synth.contracts.generator import as_generator
from lit_synth.losses.latents import kl_to_standard_normal
from lit_synth.method import Method
from lit_synth.stages import Stage


class VAE(Method):
    """Maximise E_q(z|x) log p(x | z) - beta KL(q(z | x) || N(0, I)) on the target images alone.

    p(x | z) is a Gaussian of variance 1 around the decoder's image, constants dropped.

    Deviations: the thesis copies the row of Noguchi & Harada (arXiv:1904.01774), who describe a
    decoder trained on given pairs of latents and images; this is the standard VAE. Samples are the
    means of p(x | z), without its noise.

    Args:
        encoder: Maps images (N, C, H, W) to means and log-variances (N, latent_dim) of q(z | x).
        decoder: Maps z (N, latent_dim) to images; the architecture of the compared generators.
        stages: Usually one.
        beta: Weight of the KL term (1: the evidence lower bound).
        lr: Adam learning rate.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        stages: list[Stage],
        beta: float = 1.0,
        lr: float = 1e-3,
    ) -> None:
        super().__init__(stages)
        self.encoder, self.decoder = encoder, as_generator(decoder)
        self.beta, self.lr = beta, lr

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), self.lr, fused=True)

    def training_step(self, batch: dict[str, Tensor]) -> None:
        x = batch["image"]
        (opt,) = self.optimizers()

        # Both: minus the evidence lower bound, with one sample of q per image (eq. 10).
        mu, logvar = (each.to(x.dtype) for each in self.encoder(x))  # float32 under autocast
        z = mu + (0.5 * logvar).exp() * self.randn(*mu.shape)
        rec = 0.5 * (self.decoder(z) - x).square().flatten(1).sum(dim=1).mean()
        kl = kl_to_standard_normal(mu, logvar)
        self.minimize(rec + self.beta * kl, opt)
        self.track(rec=rec, kl=kl)

    def prior(self, n: int, rng: torch.Generator) -> dict[str, Tensor]:
        """Draw z (n, latent_dim) from a standard normal."""
        return {"z": torch.randn(n, self.decoder.latent_dim, generator=rng)}

    @torch.no_grad()
    def generate(self, batch: dict[str, Tensor]) -> Tensor:
        return self.decoder(batch["z"])

    def release(self) -> tuple[dict[str, nn.Module], dict[str, object]]:
        """Return the decoder as `generator`, as any reader of releases expects, and the encoder."""
        return {"generator": self.decoder, "encoder": self.encoder}, {}
