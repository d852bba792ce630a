"""BigGAN (Brock et al. 2019, arXiv:1809.11096), as the authors' PyTorch code builds it."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.networks.parts.blocks import (
    check_labels,
    class_vector,
    conv3x3_pool,
    stages_from_4px,
    up_conv3x3,
)
from lit_synth.networks.parts.norms import BatchNorm, BatchStatistics
from lit_synth.networks.parts.rebuilding import records_init_args
from lit_synth.networks.parts.spectral import (
    SpectralConv2d,
    SpectralEmbedding,
    SpectralLinear,
    spectral_weight,
)

SIZES = (64, 128)


class BigGANGenerator(nn.Module):
    """FC to 4x4, residual blocks that double the size, then batch norm, ReLU, conv3x3, tanh.

    z is cut into equal chunks: the first enters the FC, each of the others one block, where it
    joins the vector of the class, which all blocks share, and sets gain and bias of both batch
    norms by linear maps. Channels from 4 px on, in units of `width`, are 16 16 8 4 2 1 at 128 and
    16 16 8 4 2 at 64 px. Spectral norm is on every layer but the table of class vectors (see
    `spectral_weight`); weights start orthogonal, biases from 0.

    Follows https://github.com/ajbrock/BigGAN-PyTorch with hierarchical z and a shared embedding.

    Args:
        image_size: 64 or 128.
        image_channels: Channels of the images.
        latent_dim: Length of z, a multiple of the number of chunks, 6 at 128 and 5 at 64 px.
        width: Channels before the last convolution (at 64 px: half of them).
        num_classes: Classes, at least 1.
        class_dim: Length of a class's vector.
        attention: Sizes, in pixels, of the features that attend to each other.
    """

    @records_init_args
    def __init__(
        self,
        image_size: int = 128,
        image_channels: int = 3,
        latent_dim: int = 120,
        width: int = 96,
        num_classes: int = 1000,
        class_dim: int = 128,
        attention: Sequence[int] = (64,),
    ) -> None:
        super().__init__()
        blocks = stages_from_4px(image_size, SIZES)
        channels = [width * multiple for multiple in (16, 16, 8, 4, 2, 1)[: blocks + 1]]
        if latent_dim % (blocks + 1):
            raise InputError(
                f"latent_dim is {latent_dim}: expected a multiple of {blocks + 1}, since z enters "
                f"a BigGAN of {image_size} pixels at so many places."
            )
        self.image_size, self.image_channels = image_size, image_channels
        self.latent_dim, self.num_classes = latent_dim, num_classes
        self.chunk = latent_dim // (blocks + 1)
        self.class_embedding = nn.Embedding(num_classes, class_dim)
        self.fc = SpectralLinear(self.chunk, channels[0] * 4 * 4)
        self.body = nn.ModuleList()
        for stage, (c_in, c_out) in enumerate(pairwise(channels)):
            self.body.append(GeneratorBlock(c_in, c_out, class_dim + self.chunk))
            if 4 * 2 ** (stage + 1) in attention:
                self.body.append(SelfAttention(c_out))
        self.norm = BatchNorm(channels[-1], running_stats=True)
        self.to_image = SpectralConv2d(channels[-1], image_channels, 3)
        _init_orthogonal(self)

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        check_labels(self.num_classes, label)
        assert label is not None
        c = class_vector(self.class_embedding, label)
        first, *chunks = torch.split(z, self.chunk, dim=1)
        h = self.fc(first).unflatten(1, (-1, 4, 4))
        for layer in self.body:
            if isinstance(layer, GeneratorBlock):
                h = layer(h, torch.cat([c, chunks.pop(0)], dim=1))
            else:
                h = layer(h)
        return self.to_image(self.norm(h).relu()).tanh()

    def class_vectors(self) -> Tensor:
        return self.class_embedding.weight


class BigGANCritic(nn.Module):
    """Residual blocks that halve the size down to 4x4, one that keeps it, ReLU, sum, FC.

    With classes the score is the FC's plus the inner product of the summed features with a vector
    per class (projection); without, the FC's alone. Channels after each block, in units of `width`,
    are 1 2 4 8 16 16 at 128 and 1 2 4 8 16 at 64 px. Spectral norm is on every layer.

    Args:
        image_size: 64 or 128.
        image_channels: Channels of the images.
        width: Channels after the first block.
        num_classes: Classes, 0 for none; with classes it is called with labels (N,).
        attention: Sizes, in pixels, of the features that attend to each other.
    """

    @records_init_args
    def __init__(
        self,
        image_size: int = 128,
        image_channels: int = 3,
        width: int = 96,
        num_classes: int = 1000,
        attention: Sequence[int] = (64,),
    ) -> None:
        super().__init__()
        halvings = stages_from_4px(image_size, SIZES)
        channels = [width * multiple for multiple in (1, 2, 4, 8, 16, 16)[: halvings + 1]]
        self.image_size, self.image_channels = image_size, image_channels
        self.num_classes = num_classes
        self.body = nn.Sequential()
        for stage, (c_in, c_out) in enumerate(pairwise([image_channels, *channels])):
            last = stage == halvings
            self.body.append(CriticBlock(c_in, c_out, first=stage == 0, halve=not last))
            if not last and image_size // 2 ** (stage + 1) in attention:
                self.body.append(SelfAttention(c_out))
        self.score = SpectralLinear(channels[-1], 1)
        if num_classes:
            self.class_projection = SpectralEmbedding(num_classes, channels[-1])
        _init_orthogonal(self)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        check_labels(self.num_classes, label)
        features = self.body(x).relu().sum(dim=(2, 3))
        score: Tensor = self.score(features).squeeze(1)
        if label is None:
            return score
        return score + (self.class_projection(label) * features).sum(dim=1)


class GeneratorBlock(nn.Module):
    """norm, ReLU, nearest x2, conv3x3, norm, ReLU, conv3x3; shortcut nearest x2, conv1x1.

    Args:
        in_channels: Channels of its input.
        out_channels: Channels of its output.
        vector_dim: Length of the vector that sets the norms' gains and biases.
    """

    def __init__(self, in_channels: int, out_channels: int, vector_dim: int) -> None:
        super().__init__()
        self.norm1 = VectorBatchNorm(in_channels, vector_dim)
        self.norm2 = VectorBatchNorm(out_channels, vector_dim)
        self.conv1 = SpectralConv2d(in_channels, out_channels, 3)
        self.conv2 = SpectralConv2d(out_channels, out_channels, 3)
        self.shortcut = SpectralConv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        h = self.norm1(x, vector).relu()
        h = up_conv3x3(h, spectral_weight(self.conv1), self.conv1.bias)
        h = self.conv2(self.norm2(h, vector).relu())
        # A 1x1 convolution commutes with nearest enlargement, and is cheaper before it.
        return h + F.interpolate(self.shortcut(x), scale_factor=2.0, mode="nearest")


class CriticBlock(nn.Module):
    """ReLU, conv3x3, ReLU, conv3x3, 2x2 mean; shortcut 2x2 mean, conv1x1.

    Args:
        in_channels: Channels of its input.
        out_channels: Channels of its output.
        first: Does it see the image? It then has no ReLU in front.
        halve: Halve the size? Otherwise there are no means, and no conv1x1 if channels are kept.
    """

    def __init__(self, in_channels: int, out_channels: int, first: bool, halve: bool) -> None:
        super().__init__()
        self.first, self.halve = first, halve
        self.conv1 = SpectralConv2d(in_channels, out_channels, 3)
        self.conv2 = SpectralConv2d(out_channels, out_channels, 3)
        self.shortcut: nn.Module = nn.Identity()
        if halve or in_channels != out_channels:
            self.shortcut = SpectralConv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(x if self.first else x.relu()).relu()
        if not self.halve:
            return self.conv2(h) + self.shortcut(x)
        h = conv3x3_pool(h, spectral_weight(self.conv2), self.conv2.bias)
        # The mean commutes with a 1x1 convolution, which is cheaper after it.
        return h + self.shortcut(F.avg_pool2d(x, 2))


class SelfAttention(nn.Module):
    """x + gamma o(sum over places j of softmax_j(theta(x_i) . phi(x_j)) g(x_j)), gamma from 0.

    Each place i attends to the 2x2 maxima of phi and g (SAGAN, arXiv:1805.08318, without the norm).

    Args:
        channels: Channels C of its input; theta and phi have C / 8, g has C / 2.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        eighth, half = max(channels // 8, 1), max(channels // 2, 1)
        self.theta = SpectralConv2d(channels, eighth, 1, bias=False)
        self.phi = SpectralConv2d(channels, eighth, 1, bias=False)
        self.g = SpectralConv2d(channels, half, 1, bias=False)
        self.o = SpectralConv2d(half, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        theta = self.theta(x).flatten(2)
        phi = F.max_pool2d(self.phi(x), 2).flatten(2)
        g = F.max_pool2d(self.g(x), 2).flatten(2)
        attention = (theta.transpose(1, 2) @ phi).softmax(dim=2)
        attended = (g @ attention.transpose(1, 2)).unflatten(2, x.shape[2:])
        y: Tensor = x + self.gamma * self.o(attended)
        return y


class VectorBatchNorm(BatchStatistics):
    """Batch norm whose gain, 1 + A v, and bias, B v, are linear in a vector v of each image.

    Args:
        channels: Channels of its input.
        vector_dim: Length of v.
    """

    def __init__(self, channels: int, vector_dim: int) -> None:
        super().__init__(channels, running_stats=True)
        self.gain = SpectralLinear(vector_dim, channels, bias=False)
        self.bias = SpectralLinear(vector_dim, channels, bias=False)

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        gain, bias = 1 + self.gain(vector), self.bias(vector)
        return self.normalise(x) * gain[:, :, None, None] + bias[:, :, None, None]


def _init_orthogonal(network: nn.Module) -> None:
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
            nn.init.orthogonal_(layer.weight)
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
            nn.init.zeros_(layer.bias)
