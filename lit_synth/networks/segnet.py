"""Encoders and decoders of M&MNets' cross-modal networks (SegNet, arXiv:1511.00561; VGG16)."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.networks.blocks import UpConv3x3
from lit_synth.networks.norms import BatchNorm
from lit_synth.networks.recording import records_init_args

Side = Literal["indices", "skip", "none"]

VGG16 = [[64, 64], [128, 128], [256, 256, 256], [512, 512, 512], [512, 512, 512]]
VGG16_CONVS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # among torchvision's `features`
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of RGB in [0, 1]


class Code(NamedTuple):
    """What an encoder says of images.

    Attributes:
        h: Latents (N, C, h, w), after the last pool.
        indices: For each pool, first to last, where its maxima were: int64 of its output's shape,
            positions in the flattened plane.
        skips: For each pool, first to last, what entered it.
    """

    h: Tensor
    indices: list[Tensor]
    skips: list[Tensor]


def split_code(code: Code, sizes: list[int]) -> list[Code]:
    """Return the codes of consecutive parts of a batch.

    Args:
        code: Of the batch.
        sizes: Images of each part.
    """
    indices = zip(*(torch.split(level, sizes) for level in code.indices), strict=True)
    skips = zip(*(torch.split(level, sizes) for level in code.skips), strict=True)
    parts = zip(torch.split(code.h, sizes), indices, skips, strict=True)
    return [Code(h, list(i), list(s)) for h, i, s in parts]


def join_codes(codes: list[Code]) -> Code:
    """Return one code of all images, in order.

    Args:
        codes: Of one encoder's architecture.
    """
    return Code(
        torch.cat([code.h for code in codes]),
        [torch.cat(level) for level in zip(*(code.indices for code in codes), strict=True)],
        [torch.cat(level) for level in zip(*(code.skips for code in codes), strict=True)],
    )


class SegNetEncoder(nn.Module):
    """Blocks of (conv3x3, batch norm, ReLU), each followed by a 2x2 max-pool (thesis table A.3).

    Without norms it is VGG16's trunk, which standardises its input to (x - mean) / std; mean is 0
    and std 1 until `load_vgg16` sets ImageNet's.

    Args:
        channels: Channels of its input.
        blocks: Widths of each block's convolutions; the thesis has `VGG16`.
        norm: Put a batch norm after each convolution? The thesis leaves them out for RGB.
        pretrained: Weights to start from, as `load_vgg16` takes them; None for He's. A release
            holds the weights, so that a network rebuilt from one does not ask for them again.
    """

    def __init__(
        self,
        channels: int,
        blocks: list[list[int]],
        norm: bool = True,
        pretrained: str | None = None,
    ) -> None:
        super().__init__()
        self._build(channels, blocks, norm)
        if pretrained is not None:
            load_vgg16(self, pretrained)

    # Recorded instead of `__init__`, so that the record lacks `pretrained`.
    @records_init_args
    def _build(self, channels: int, blocks: list[list[int]], norm: bool) -> None:
        self.norm = norm
        self.blocks = nn.ModuleList()
        widths = [channels, *(block[-1] for block in blocks)]
        for c_in, block in zip(widths, blocks, strict=False):
            self.blocks.append(_convs([c_in, *block], norm))
        self.mean: Tensor
        self.std: Tensor
        if not norm:
            self.register_buffer("mean", torch.zeros(channels, 1, 1))
            self.register_buffer("std", torch.ones(channels, 1, 1))
        init_he(self)

    def forward(self, x: Tensor) -> Code:
        check_size(x, multiple=2 ** len(self.blocks))
        h = x if self.norm else (x - self.mean) / self.std
        indices, skips = [], []
        for block in self.blocks:
            skips.append(block(h))
            h, positions = F.max_pool2d(skips[-1], 2, return_indices=True)
            indices.append(positions)
        return Code(h, indices, skips)


class SegNetDecoder(nn.Module):
    """An encoder mirrored: each block enlarges x2, then (conv3x3, batch norm, ReLU) (table A.4).

    A convolution from c to d channels becomes one from d to c; the encoder's first one becomes
    the output's, which has neither norm nor ReLU.

    Args:
        channels: Channels of its output.
        blocks: The blocks of the encoder that it mirrors.
        side: What it takes from the encoder besides the latents. `indices`: each enlargement puts
            values where the encoder's pool took its maxima, and 0 elsewhere. `skip`: nearest x2,
            joined by what entered the encoder's pool. `none`: nearest x2.
        tanh: End in tanh, as images do?
    """

    @records_init_args
    def __init__(
        self,
        channels: int,
        blocks: list[list[int]],
        side: Side = "indices",
        tanh: bool = False,
    ) -> None:
        super().__init__()
        self.side, self.tanh = side, tanh
        self.blocks = nn.ModuleList()
        ends = [channels, *(block[-1] for block in blocks[:-1])]
        for block, end in reversed(list(zip(blocks, ends, strict=True))):
            joined = 2 * block[-1] if side == "skip" else block[-1]
            widths = [joined, *reversed(block[:-1]), end]
            output = len(self.blocks) == len(blocks) - 1
            self.blocks.append(_convs(widths, enlarge=side == "none", output=output))
        init_he(self)

    def forward(self, code: Code) -> Tensor:
        check_code(code, len(self.blocks))
        h = code.h
        sides = zip(code.indices[::-1], code.skips[::-1], strict=True)
        for block, (positions, skip) in zip(self.blocks, sides, strict=True):
            h = block(self._enlarge(h, positions, skip))
        return h.tanh() if self.tanh else h

    def _enlarge(self, h: Tensor, positions: Tensor, skip: Tensor) -> Tensor:
        if self.side == "indices":
            return unpool(h, positions)
        if self.side == "skip":
            return torch.cat([F.interpolate(h, scale_factor=2, mode="nearest"), skip], dim=1)
        return h  # the next convolution enlarges


class ImageDecoder(nn.Module):
    """(nearest x2, conv3x3, batch norm, ReLU) per pool, the last one with tanh alone (table A.5).

    It uses no indices and no skips, whatever the code holds.

    Args:
        channels: Channels of the images.
        widths: Channels that enter each convolution, the latents' first; the thesis has
            [512, 512, 256, 128, 64].
    """

    @records_init_args
    def __init__(self, channels: int, widths: list[int]) -> None:
        super().__init__()
        self.body = nn.Sequential()
        for c_in, c_out in pairwise(widths):
            conv = UpConv3x3(c_in, c_out, bias=False)
            self.body.extend([conv, BatchNorm(c_out, running_stats=True), nn.ReLU()])
        self.body.append(UpConv3x3(widths[-1], channels))
        init_he(self)

    def forward(self, code: Code) -> Tensor:
        return self.body(code.h).tanh()


class SegNet(nn.Module):
    """An encoder and a decoder of one translation: images (N, C, H, W) to (N, C', H, W).

    Args:
        in_channels: Channels of its input.
        out_channels: Channels of its output.
        blocks: As in `SegNetEncoder`.
        side: As in `SegNetDecoder`.
        tanh: As in `SegNetDecoder`.
    """

    @records_init_args
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        blocks: list[list[int]],
        side: Side = "indices",
        tanh: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = SegNetEncoder(in_channels, blocks)
        self.decoder = SegNetDecoder(out_channels, blocks, side, tanh)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


def unpool(h: Tensor, positions: Tensor) -> Tensor:
    """Put each value where a 2x2 max-pool took its maximum, and 0 elsewhere.

    Args:
        h: Features (N, C, h, w).
        positions: The pool's indices (N, C, h, w).

    Returns:
        Features (N, C, 2h, 2w).
    """
    # Autocast would widen to float32 what only moves.
    with torch.autocast(h.device.type, enabled=False):
        return F.max_unpool2d(h, positions, (2, 2))


def check_size(x: Tensor, multiple: int) -> None:
    """Refuse images that cannot be halved as often as an encoder pools.

    Args:
        x: Images (N, C, H, W).
        multiple: What height and width must be multiples of.

    Raises:
        InputError: If they are not.
    """
    height, width = x.shape[-2:]
    if height % multiple or width % multiple:
        raise InputError(
            f"an image of {height}x{width} px cannot be halved {multiple.bit_length() - 1} times: "
            f"resize images to multiples of {multiple}, or give the encoder fewer blocks."
        )


def check_code(code: Code, enlargements: int) -> None:
    """Refuse the code of an encoder that pools more or less often than a decoder enlarges.

    Args:
        code: An encoder's code.
        enlargements: How often the decoder enlarges.

    Raises:
        InputError: If the numbers differ.
    """
    if len(code.indices) != enlargements:
        raise InputError(
            f"a decoder that enlarges {enlargements} times got the code of an encoder with "
            f"{len(code.indices)} pools: build both with the same blocks."
        )


def init_he(network: nn.Module, slope: float = 0.0) -> None:
    """Draw weights from He's normal (arXiv:1502.01852); biases are 0.

    Args:
        network: Network whose convolutions are initialised in place.
        slope: Of the LeakyReLU after them; 0 for ReLU.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, a=slope)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def load_vgg16(encoder: SegNetEncoder, source: str) -> None:
    """Start an RGB encoder from VGG16's convolutions, and standardise its input as ImageNet's.

    VGG16 was trained on (u - mean) / std of u in [0, 1]; ours are x = 2 u - 1.

    Args:
        encoder: An encoder of 3 channels with VGG16's blocks and without norms, changed in place.
        source: `imagenet` for torchvision's weights, downloaded on first use (528 MB), or the
            path of a state dict of torchvision's VGG16.

    Raises:
        InputError: If the encoder is another, or the weights cannot be had or do not fit.
    """
    convs = [layer for layer in encoder.modules() if isinstance(layer, nn.Conv2d)]
    given = [layer.out_channels for layer in convs]
    if encoder.norm or convs[0].in_channels != 3 or given != [w for block in VGG16 for w in block]:
        raise InputError(
            f"pretrained is '{source}' but the encoder has {convs[0].in_channels} input channels, "
            f"convolutions of widths {given} and norm={encoder.norm}: VGG16 takes 3 channels, "
            f"blocks {VGG16} and norm=False; use these, or leave pretrained out."
        )
    state = _downloaded_vgg16() if source == "imagenet" else _read_state(Path(source))
    try:
        for number, conv in zip(VGG16_CONVS, convs, strict=True):
            names = ("weight", "bias")
            conv.load_state_dict({name: state[f"features.{number}.{name}"] for name in names})
    except (KeyError, RuntimeError) as error:
        raise InputError(
            f"'{source}' is no state dict of torchvision's VGG16 ({_first_line(error)}): give the "
            f"file that torchvision's VGG16_Weights.IMAGENET1K_V1 names."
        ) from error
    encoder.mean.copy_(2 * torch.tensor(IMAGENET_MEAN)[:, None, None] - 1)
    encoder.std.copy_(2 * torch.tensor(IMAGENET_STD)[:, None, None])


def _downloaded_vgg16() -> Mapping[str, Any]:
    from torchvision.models import VGG16_Weights

    weights = VGG16_Weights.IMAGENET1K_V1
    try:
        return weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:  # no connection; a broken file
        raise InputError(
            f"VGG16's ImageNet weights could not be downloaded ({_first_line(error)}): download "
            f"{weights.url} on a machine with internet and give the file's path as pretrained."
        ) from error


def _read_state(path: Path) -> Mapping[str, Any]:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a file that is no state dict can fail in any way
        raise InputError(
            f"pretrained '{path}' cannot be read ({_first_line(error)}): give 'imagenet' or the "
            f"path of a state dict of torchvision's VGG16."
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error) or repr(error)).splitlines()[0]


def _convs(
    widths: list[int], norm: bool = True, enlarge: bool = False, output: bool = False
) -> nn.Sequential:
    """Build (conv3x3, batch norm, ReLU) from each width to the next.

    Args:
        widths: Channels, the input's first.
        norm: Put in the batch norms?
        enlarge: Does the first convolution enlarge x2?
        output: Does the last convolution stand alone?
    """
    layers = nn.Sequential()
    for i, (c_in, c_out) in enumerate(pairwise(widths)):
        alone = output and i == len(widths) - 2
        normed = norm and not alone
        if enlarge and i == 0:
            layers.append(UpConv3x3(c_in, c_out, bias=not normed))
        else:
            layers.append(nn.Conv2d(c_in, c_out, kernel_size=3, padding=1, bias=not normed))
        if normed:
            layers.append(BatchNorm(c_out, running_stats=True))
        if not alone:
            layers.append(nn.ReLU())
    return layers
