"""CycleGAN's ResNet generator (arXiv:1703.10593) and M&MNets' form of it with pooling indices."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.networks.parts.blocks import Residual
from lit_synth.networks.parts.codes import Code, check_code, check_size, unpool
from lit_synth.networks.parts.norms import AffineInstanceNorm, InstanceNorm
from lit_synth.networks.parts.rebuilding import records_init_args

STD = 0.02  # of initial weights


class ReflectConv2d(nn.Conv2d):
    """A convolution of odd kernel, stride 1 and the size of its input, which it pads reflected.

    Args:
        in_channels: Channels of its input.
        out_channels: Channels of its output.
        kernel_size: Height and width of the kernel; half of it must be below the input's size.
        bias: Has it a bias? An instance norm would cancel it.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, bias: bool = False
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        pad = self.kernel_size[0] // 2
        # Autocast would widen to float32 what only moves.
        with torch.autocast(x.device.type, enabled=False):
            x = F.pad(x, (pad, pad, pad, pad), mode="reflect")
        return super().forward(x)


class ResNetTranslator(nn.Module):
    """c7s1-w, d2w, d4w, residual blocks of 4w, u2w, uw, c7s1 and tanh (CycleGAN, appendix).

    Every layer but the last has an instance norm and ReLU. Weights start from N(0, .02), as
    published.

    Args:
        in_channels: Channels of its input.
        out_channels: Channels of its output.
        n_blocks: Residual blocks; published: 9 from 256 px on, 6 at 128 px.
        width: Channels w of the first layer.
        bias: Have all convolutions a bias? The authors' files have: the norms cancel it, so that it
            changes no image.
        affine: Have norms a gain and a bias for each channel, as some public files do?
    """

    @records_init_args
    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        n_blocks: int = 9,
        width: int = 64,
        bias: bool = False,
        affine: bool = False,
    ) -> None:
        super().__init__()
        w = width
        self.body = nn.Sequential(
            ReflectConv2d(in_channels, w, 7, bias), _norm(w, affine), nn.ReLU(),
            _down(w, 2 * w, bias), _norm(2 * w, affine), nn.ReLU(),
            _down(2 * w, 4 * w, bias), _norm(4 * w, affine), nn.ReLU(),
            *residual_blocks(4 * w, n_blocks, bias, affine),
            _up(4 * w, 2 * w, bias), _norm(2 * w, affine), nn.ReLU(),
            _up(2 * w, w, bias), _norm(w, affine), nn.ReLU(),
            ReflectConv2d(w, out_channels, 7, bias=True),
        )  # fmt: skip
        init_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_size(x, multiple=4)
        return self.body(x).tanh()


class ResNetEncoder(nn.Module):
    """(conv7x7, instance norm, ReLU, 2x2 max-pool) of w, 2w, 4w, then residual blocks of 4w.

    Thesis tables A.7 and A.11, whose residual blocks print 7x7 kernels: ours are CycleGAN's, 3x3,
    and every padding is reflected.

    Args:
        channels: Channels of its input.
        width: Channels w of the first layer.
        n_blocks: Residual blocks.
    """

    @records_init_args
    def __init__(self, channels: int = 3, width: int = 64, n_blocks: int = 6) -> None:
        super().__init__()
        widths = [channels, width, 2 * width, 4 * width]
        self.levels = nn.ModuleList()
        for c_in, c_out in pairwise(widths):
            self.levels.append(_conv7x7(c_in, c_out))
        self.blocks = nn.Sequential(*residual_blocks(4 * width, n_blocks))
        init_normal(self)

    def forward(self, x: Tensor) -> Code:
        check_size(x, multiple=2 ** len(self.levels))
        indices, skips = [], []
        for level in self.levels:
            skips.append(level(x))
            x, positions = F.max_pool2d(skips[-1], 2, return_indices=True)
            indices.append(positions)
        return Code(self.blocks(x), indices, skips)


class ResNetDecoder(nn.Module):
    """`ResNetEncoder` mirrored: residual blocks, then three times (x2, conv7x7), the last one tanh.

    Thesis tables A.8 and A.12; the tables state no output activation.

    Args:
        channels: Channels of its output.
        width: The encoder's.
        n_blocks: Residual blocks.
        indices: Enlarge by unpooling with the encoder's indices? Otherwise nearest x2.
    """

    @records_init_args
    def __init__(
        self, channels: int = 3, width: int = 64, n_blocks: int = 6, indices: bool = True
    ) -> None:
        super().__init__()
        self.indices = indices
        self.blocks = nn.Sequential(*residual_blocks(4 * width, n_blocks))
        self.levels = nn.ModuleList(
            [
                _conv7x7(4 * width, 2 * width),
                _conv7x7(2 * width, width),
                ReflectConv2d(width, channels, 7, bias=True),
            ]
        )
        init_normal(self)

    def forward(self, code: Code) -> Tensor:
        check_code(code, len(self.levels))
        h = self.blocks(code.h)
        for level, positions in zip(self.levels, code.indices[::-1], strict=True):
            h = unpool(h, positions) if self.indices else F.interpolate(h, scale_factor=2.0)
            h = level(h)
        return h.tanh()


def residual_blocks(
    channels: int, n_blocks: int, bias: bool = False, affine: bool = False
) -> list[Residual]:
    """Build blocks x + (conv3x3, instance norm, ReLU, conv3x3, instance norm)(x).

    Args:
        channels: Channels of input and output.
        n_blocks: How many.
        bias: Have the convolutions a bias?
        affine: Have the norms a gain and a bias for each channel?

    Returns:
        The blocks.
    """
    return [Residual(_branch(channels, bias, affine), nn.Identity()) for _ in range(n_blocks)]


def init_normal(network: nn.Module) -> None:
    """Draw the weights of all convolutions from N(0, .02), as pix2pix and CycleGAN; biases are 0.

    Args:
        network: Network whose convolutions are initialised in place.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, std=STD)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _branch(channels: int, bias: bool, affine: bool) -> nn.Sequential:
    conv1, conv2 = (ReflectConv2d(channels, channels, 3, bias) for _ in range(2))
    norm1, norm2 = (_norm(channels, affine) for _ in range(2))
    return nn.Sequential(conv1, norm1, nn.ReLU(), conv2, norm2)


def _norm(channels: int, affine: bool) -> nn.Module:
    return AffineInstanceNorm(channels) if affine else InstanceNorm()


def _conv7x7(c_in: int, c_out: int) -> nn.Sequential:
    return nn.Sequential(ReflectConv2d(c_in, c_out, 7), InstanceNorm(), nn.ReLU())


def _down(c_in: int, c_out: int, bias: bool) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, kernel_size=3, stride=2, padding=1, bias=bias)


def _up(c_in: int, c_out: int, bias: bool) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(
        c_in, c_out, kernel_size=3, stride=2, padding=1, output_padding=1, bias=bias
    )
