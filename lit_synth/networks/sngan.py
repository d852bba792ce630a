"""SNGAN: residual GAN, spectrally normalised critic (Miyato et al. 2018, arXiv:1802.05957)."""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from lit_synth.networks.parts.blocks import (
    ConvPool3x3,
    Residual,
    UpBlock,
    batch_norm,
    check_labels,
    down_block,
    init_uniform,
    pooled_shortcut,
)
from lit_synth.networks.parts.rebuilding import records_init_args
from lit_synth.networks.wgan_gp_resnet import channels_from_4px


class SNGANGenerator(nn.Module):
    """FC to 4x4, residual blocks that double the size, then batch norm, ReLU, conv3x3, tanh.

    With classes every batch norm has an affine map per class. Channels from 4 px on, in units of
    `width`, are 16 16 8 4 2 1 at 128 px (the paper's ImageNet ResNet); at 64 and 32 px,
    ours, the plan that ends alike: 8 8 4 2 1 and 4 4 2 1.

    Args:
        image_size: 32, 64 or 128.
        image_channels: Channels of the images.
        latent_dim: Length of z.
        width: Channels before the last convolution.
        num_classes: Classes to be conditional on, 0 for none.
        running_stats: Use running statistics in eval mode? Otherwise those of the batch.
    """

    @records_init_args
    def __init__(
        self,
        image_size: int = 128,
        image_channels: int = 3,
        latent_dim: int = 128,
        width: int = 64,
        num_classes: int = 0,
        running_stats: bool = True,
    ) -> None:
        super().__init__()
        channels = channels_from_4px(image_size, width)
        self.image_size, self.image_channels = image_size, image_channels
        self.latent_dim, self.num_classes = latent_dim, num_classes
        norms = batch_norm(num_classes, running_stats)
        self.fc = nn.Linear(latent_dim, channels[0] * 4 * 4)
        self.body = nn.ModuleList(
            UpBlock(c_in, c_out, norms, bias=True) for c_in, c_out in pairwise(channels)
        )
        # The last norm is shared by all classes, as in the authors' code.
        self.norm = batch_norm(0, running_stats)(width)
        self.to_image = nn.Conv2d(width, image_channels, kernel_size=3, padding=1)
        _init_weights(self)

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        check_labels(self.num_classes, label)
        h = self.fc(z).unflatten(1, (-1, 4, 4))
        for block in self.body:
            h = block(h, label)
        return self.to_image(self.norm(h).relu()).tanh()


class SNGANCritic(nn.Module):
    """Residual blocks that halve the size down to 4x4, one that keeps it, ReLU, sum, FC.

    Spectral norm on every layer. With classes the score is the FC's plus the inner product of the
    summed features with a vector per class (projection, arXiv:1802.05637). Channels down to
    4 px mirror the generator: 1 2 4 8 16 16 at 128 px.

    Args:
        image_size: 32, 64 or 128.
        image_channels: Channels of the images.
        width: Channels after the first block.
        num_classes: Classes, 0 for none; with classes it is called with labels (N,).
    """

    @records_init_args
    def __init__(
        self,
        image_size: int = 128,
        image_channels: int = 3,
        width: int = 64,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        last, *channels = channels_from_4px(image_size, width)
        channels = [image_channels, *reversed(channels)]
        self.image_size, self.image_channels = image_size, image_channels
        self.num_classes = num_classes
        self.body = nn.Sequential(_first_block(image_channels, width))
        self.body.extend(
            down_block(c_in, c_out, norm=None, bias=True) for c_in, c_out in pairwise(channels[1:])
        )
        self.body.append(_last_block(last))
        self.score = nn.Linear(last, 1)
        _init_weights(self)
        if num_classes:
            self.class_projection = nn.Embedding(num_classes, last)
            nn.init.xavier_uniform_(self.class_projection.weight)
        for layer in list(self.modules()):
            if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
                spectral_norm(layer)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        check_labels(self.num_classes, label)
        features = self.body(x).relu().sum(dim=(2, 3))
        score = self.score(features).squeeze(1)
        if label is None:
            return score
        return score + (self.class_projection(label) * features).sum(dim=1)


def _first_block(image_channels: int, width: int) -> Residual:
    conv = nn.Conv2d(image_channels, width, kernel_size=3, padding=1)
    residual = nn.Sequential(conv, nn.ReLU(), ConvPool3x3(width, width))
    return Residual(residual, pooled_shortcut(image_channels, width))


def _last_block(channels: int) -> Residual:
    convs = [nn.Conv2d(channels, channels, kernel_size=3, padding=1) for _ in range(2)]
    residual = nn.Sequential(nn.ReLU(), convs[0], nn.ReLU(), convs[1])
    return Residual(residual, nn.Identity())


def _init_weights(network: nn.Module) -> None:
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            init_uniform(layer, he="residual" in name or "conv" in name)
