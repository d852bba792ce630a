"""DRIT's networks, which know content from attributes (arXiv:1808.00948, concatenated form)."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.networks.munit import DownConv4x4
from lit_synth.networks.parts.blocks import Residual, layer_norm, pooled_shortcut
from lit_synth.networks.parts.codes import check_size, init_he
from lit_synth.networks.parts.norms import InstanceNorm
from lit_synth.networks.parts.rebuilding import records_init_args
from lit_synth.networks.resnet_translator import ReflectConv2d, init_normal, residual_blocks

SLOPE = 0.01  # of LeakyReLU in the content networks
ATTRIBUTE_SLOPE = 0.2  # and in the attribute encoder


class DRITContentEncoder(nn.Module):
    """A domain's own part: conv7x7 of w, conv3x3 of stride 2 and twice as many each, blocks.

    The first convolution has LeakyReLU .01, the others an instance norm and ReLU. Paddings are
    reflected; weights start from N(0, .02).

    Args:
        channels: Channels of the images.
        width: Channels w of the first convolution.
        n_down: Convolutions of stride 2; the result has 2^n_down w channels.
        n_blocks: Residual blocks.
    """

    @records_init_args
    def __init__(
        self, channels: int = 3, width: int = 64, n_down: int = 2, n_blocks: int = 3
    ) -> None:
        super().__init__()
        self.multiple = 2**n_down
        stem = ReflectConv2d(channels, width, 7, bias=True)
        self.body = nn.Sequential(stem, nn.LeakyReLU(SLOPE))
        for c in (width * 2**i for i in range(n_down)):
            pad, conv = nn.ReflectionPad2d(1), nn.Conv2d(c, 2 * c, 3, stride=2, bias=False)
            self.body.extend([pad, conv, InstanceNorm(), nn.ReLU()])
        self.body.extend(residual_blocks(width * self.multiple, n_blocks))
        init_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to features (N, 2^n_down w, H / 2^n_down, W / 2^n_down)."""
        check_size(x, self.multiple)
        return self.body(x)


class DRITSharedLayer(nn.Module):
    """What both domains have in common: one residual block with instance norms.

    DRIT has one that ends its content encoders and one that begins its generators.

    Args:
        channels: Of the content, 2^n_down w.
    """

    @records_init_args
    def __init__(self, channels: int = 256) -> None:
        super().__init__()
        self.body = nn.Sequential(*residual_blocks(channels, 1))
        init_normal(self)

    def forward(self, h: Tensor) -> Tensor:
        return self.body(h)


class DRITAttributeEncoder(nn.Module):
    """Reads the mean and log-variance of an image's attributes; no norms.

    conv4x4 of stride 2, then residual blocks (LeakyReLU .2, conv3x3, LeakyReLU, conv3x3, 2x2 mean)
    with shortcuts (2x2 mean, conv1x1), LeakyReLU, global mean, and a linear layer for each.
    Paddings are reflected. Weights start as He's for LeakyReLU .2: N(0, .02), as published, fades
    through layers without norms.

    Args:
        channels: Channels of the images.
        widths: Channels of the convolution, and of each block.
        style_dim: Attributes; published: 8.
    """

    @records_init_args
    def __init__(
        self, channels: int = 3, widths: Sequence[int] = (64, 128, 192, 256), style_dim: int = 8
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(DownConv4x4(channels, widths[0]))
        self.body.extend(_halving_block(*pair) for pair in pairwise(widths))
        self.body.append(nn.LeakyReLU(ATTRIBUTE_SLOPE))
        self.mean = nn.Linear(widths[-1], style_dim)
        self.log_variance = nn.Linear(widths[-1], style_dim)
        self.least = 2 ** len(widths)
        init_he(self, ATTRIBUTE_SLOPE)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance (N, style_dim) for images (N, C, H, W)."""
        _check_least(self, "images", x, self.least, "fewer widths, or larger images")
        h = self.body(x).mean(dim=(2, 3))
        return self.mean(h), self.log_variance(h)


class DRITGenerator(nn.Module):
    """A domain's own part: makes images of content and attributes, which join every layer.

    Residual blocks with instance norms, transposed conv3x3 of stride 2 and half as many channels
    with layer norm over C, H, W and ReLU, conv1x1 and tanh; attributes are constant planes in
    front of the blocks and of each later layer. Weights start from N(0, .02).

    Args:
        channels: Channels of the images.
        width: The encoder's.
        n_down: The encoder's.
        n_blocks: Residual blocks.
        style_dim: Attributes.
    """

    @records_init_args
    def __init__(
        self,
        channels: int = 3,
        width: int = 64,
        n_down: int = 2,
        n_blocks: int = 3,
        style_dim: int = 8,
    ) -> None:
        super().__init__()
        self.style_dim = style_dim
        c = width * 2**n_down + style_dim
        self.blocks = nn.Sequential(*residual_blocks(c, n_blocks))
        self.ups = nn.ModuleList()
        for _ in range(n_down):
            c_in, c = c + style_dim, (c + style_dim) // 2
            up = nn.ConvTranspose2d(c_in, c, 3, stride=2, padding=1, output_padding=1)
            self.ups.append(nn.Sequential(up, layer_norm(c), nn.ReLU()))
        self.last = nn.Conv2d(c + style_dim, channels, kernel_size=1)
        init_normal(self)

    def forward(self, h: Tensor, style: Tensor) -> Tensor:
        """Make images in [-1, 1] of shared features (N, c, h, w) and attributes (N, style_dim)."""
        h = self.blocks(_with_planes(h, style))
        for up in self.ups:
            h = up(_with_planes(h, style))
        return self.last(_with_planes(h, style)).tanh()


class DRITContentDiscriminator(nn.Module):
    """Scores content: conv7x7 of stride 2, one conv without padding, conv1x1 to one; LeakyReLU .01.

    conv7x7 pads by 1, reflected, so that the defaults make one score of 53 to 60 px of content, 212
    to 240 px of image; published: 216. The authors' code asks for instance norms here and, by a
    typing error, has none; nor has this. Weights start from N(0, .02).

    Args:
        channels: Of the content.
        widths: Channels of each conv7x7.
        head_size: Kernel size of the convolution without padding.
    """

    @records_init_args
    def __init__(
        self, channels: int = 256, widths: Sequence[int] = (256, 256, 256), head_size: int = 4
    ) -> None:
        super().__init__()
        self.body = nn.Sequential()
        for c_in, c_out in pairwise([channels, *widths]):
            conv = nn.Conv2d(c_in, c_out, 7, stride=2)
            self.body.extend([nn.ReflectionPad2d(1), conv, nn.LeakyReLU(SLOPE)])
        last = nn.Conv2d(widths[-1], widths[-1], head_size)
        self.body.extend([last, nn.LeakyReLU(SLOPE), nn.Conv2d(widths[-1], 1, kernel_size=1)])
        self.least = head_size
        for _ in widths:
            self.least = 2 * self.least + 3
        init_normal(self)

    def forward(self, h: Tensor) -> Tensor:
        """Score content (N, c, h, w): (N, 1, h', w')."""
        _check_least(self, "content", h, self.least, "fewer widths, or a smaller head_size")
        return self.body(h)


def _halving_block(c_in: int, c_out: int) -> Residual:
    layers: list[nn.Module] = []
    for c in (c_in, c_out):
        layers += [nn.LeakyReLU(ATTRIBUTE_SLOPE), ReflectConv2d(c_in, c, 3, bias=True)]
    return Residual(nn.Sequential(*layers, nn.AvgPool2d(2)), pooled_shortcut(c_in, c_out))


def _with_planes(h: Tensor, style: Tensor) -> Tensor:
    planes = style.to(h.dtype)[:, :, None, None].expand(-1, -1, *h.shape[2:])
    return torch.cat([h, planes], dim=1)


def _check_least(network: nn.Module, what: str, x: Tensor, least: int, remedy: str) -> None:
    height, width = x.shape[2:]
    if min(height, width) < least:
        raise InputError(
            f"a {type(network).__name__} got {what} of {height}x{width} px, but needs {least} px "
            f"or more: give it {remedy}."
        )
