"""IcGAN's networks: a conditional DCGAN, and the encoders that invert it (arXiv:1611.06355)."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.networks.parts.blocks import stages_from_4px
from lit_synth.networks.parts.norms import BatchNorm
from lit_synth.networks.parts.rebuilding import records_init_args
from lit_synth.networks.resnet_translator import init_normal

SIZES = (16, 32, 64, 128)
SLOPE = 0.2  # of the discriminator's LeakyReLU


class IcGANGenerator(nn.Module):
    """Maps z and labels to images by transposed convolutions 4x4, batch norm and ReLU; tanh.

    The first one makes 4x4 of 1x1, each other one doubles. Weights start from N(0, .02). In eval
    mode the norms use their running statistics, so that an image does not depend on its batch.

    Args:
        image_size: 16, 32, 64 or 128.
        channels: Of the images.
        n_labels: Labels: domains, or attributes.
        latent_dim: Length of z.
        width: Channels before the last layer; each one before has twice as many.
    """

    @records_init_args
    def __init__(
        self,
        image_size: int = 64,
        channels: int = 3,
        n_labels: int = 18,
        latent_dim: int = 100,
        width: int = 64,
    ) -> None:
        super().__init__()
        self.n_labels, self.latent_dim = n_labels, latent_dim
        widths = _widths(image_size, width)[::-1]
        first = nn.ConvTranspose2d(latent_dim + n_labels, widths[0], 4, bias=False)
        self.body = nn.Sequential(first, BatchNorm(widths[0], running_stats=True), nn.ReLU())
        for c_in, c_out in pairwise(widths):
            up = nn.ConvTranspose2d(c_in, c_out, 4, stride=2, padding=1, bias=False)
            self.body.extend([up, BatchNorm(c_out, running_stats=True), nn.ReLU()])
        self.last = nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1)
        init_normal(self)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """Make images (N, C, H, W) in [-1, 1] of z (N, latent_dim) and labels (N, K) in {-1, 1}."""
        h = torch.cat([z, y.to(z.dtype)], dim=1)[:, :, None, None]
        return self.last(self.body(h)).tanh()


class IcGANDiscriminator(nn.Module):
    """Scores whether images are real and labels theirs: convolutions 4x4 of stride 2, then 4x4.

    LeakyReLU .2; batch norm in all layers but the first and the last. Labels join as constant
    planes after the first layer. Weights start from N(0, .02).

    Args:
        image_size: 16, 32, 64 or 128.
        channels: Of the images.
        n_labels: Labels: domains, or attributes.
        width: Channels of the first layer; each further one has twice as many.
    """

    @records_init_args
    def __init__(
        self, image_size: int = 64, channels: int = 3, n_labels: int = 18, width: int = 64
    ) -> None:
        super().__init__()
        self.n_labels = n_labels
        widths = _widths(image_size, width)
        self.first = nn.Conv2d(channels, width, 4, stride=2, padding=1)
        self.body = nn.Sequential()
        for i, (c_in, c_out) in enumerate(pairwise(widths)):
            c_in += 0 if i else n_labels
            down = nn.Conv2d(c_in, c_out, 4, stride=2, padding=1, bias=False)
            self.body.extend([down, BatchNorm(c_out), nn.LeakyReLU(SLOPE)])
        self.score = nn.Conv2d(widths[-1], 1, 4)
        init_normal(self)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Score images (N, C, H, W) with labels (N, K) in {-1, 1}: logits (N,)."""
        h = F.leaky_relu(self.first(x), SLOPE)
        planes = y.to(h.dtype)[:, :, None, None].expand(-1, -1, *h.shape[2:])
        return self.score(self.body(torch.cat([h, planes], dim=1))).flatten()


class IcGANEncoder(nn.Module):
    """Reads a vector, z or labels: convolutions 5x5 of stride 2 to 4x4, a hidden layer, a linear.

    Batch norm and ReLU follow every layer but the last. In eval mode the norms use their running
    statistics.

    Args:
        image_size: 16, 32, 64 or 128.
        channels: Of the images.
        out_dim: Length of the vector.
        width: Channels of the first layer; each further one has twice as many.
        hidden: Units of the hidden layer; None: as many as enter it. Published: None for z, 512
            for labels.
    """

    @records_init_args
    def __init__(
        self,
        image_size: int = 64,
        channels: int = 3,
        out_dim: int = 100,
        width: int = 32,
        hidden: int | None = None,
    ) -> None:
        super().__init__()
        self.out_dim = out_dim
        widths = [channels, *(width * 2**i for i in range(stages_from_4px(image_size, SIZES)))]
        layers: list[nn.Module] = []
        for c_in, c_out in pairwise(widths):
            layers += [nn.Conv2d(c_in, c_out, 5, stride=2, padding=2, bias=False)]
            layers += [BatchNorm(c_out, running_stats=True), nn.ReLU()]
        # A linear layer on all of 4x4 pixels, whose result is still an image to the norm.
        hidden = 16 * widths[-1] if hidden is None else hidden
        layers += [nn.Conv2d(widths[-1], hidden, 4, bias=False)]
        layers += [BatchNorm(hidden, running_stats=True), nn.ReLU(), nn.Flatten()]
        self.body = nn.Sequential(*layers)
        self.out = nn.Linear(hidden, out_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Read vectors (N, out_dim) from images (N, C, H, W)."""
        return self.out(self.body(x))


def _widths(image_size: int, width: int) -> list[int]:
    """Return the channels of features of half the image's size, of a quarter, ... and of 4 px."""
    return [width * 2**i for i in range(stages_from_4px(image_size, SIZES))]
