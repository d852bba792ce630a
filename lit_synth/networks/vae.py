"""The encoder of a variational autoencoder (arXiv:1312.6114); any generator decodes."""

from torch import Tensor, nn

from lit_synth.networks.parts.rebuilding import records_init_args
from lit_synth.networks.small import init_he, small_critic_body


class ConvEncoder(nn.Module):
    """Mean and log-variance of q(z | x), from the layers of `SmallCritic` with two heads.

    Args:
        image_size: 16 or 32.
        image_channels: Channels of the images.
        latent_dim: Length of z.
        width: Channels after the first convolution.
    """

    @records_init_args
    def __init__(
        self,
        image_size: int = 16,
        image_channels: int = 1,
        latent_dim: int = 32,
        width: int = 32,
    ) -> None:
        super().__init__()
        self.image_size, self.image_channels = image_size, image_channels
        self.latent_dim = latent_dim
        self.body = small_critic_body(image_size, image_channels, width)
        self.mu = nn.Linear(4 * width * 4 * 4, latent_dim)
        self.logvar = nn.Linear(4 * width * 4 * 4, latent_dim)
        init_he(self)
        # q(z | x) starts with variance 1: exp of a random log-variance can blow up the first step.
        nn.init.zeros_(self.logvar.weight)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(x)
        return self.mu(features), self.logvar(features)
