"""StarGAN's networks (arXiv:1711.09020, tables 4 and 5), parts of which are SDIT's."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.networks.parts.blocks import Residual
from lit_synth.networks.parts.codes import check_size
from lit_synth.networks.parts.norms import AffineInstanceNorm
from lit_synth.networks.parts.rebuilding import records_init_args

Enlarge = Literal["transposed", "resized"]

SLOPE = 0.01
SMALL = 64  # pixels of a map


class DownConv4x4(nn.Conv2d):
    """A 4x4 convolution of stride 2 with zero padding 1.

    On a CPU, maps of 8x8 pixels and fewer go through one matrix product over all patches, the same
    map: there reading the weights takes the time, and with 1,024 channels this is twice as fast.

    Args:
        in_channels: Channels of its input.
        out_channels: Channels of its output.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size=4, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        if x.device.type != "cpu" or height * width > SMALL:
            return super().forward(x)
        patches = F.unfold(x, kernel_size=4, padding=1, stride=2).transpose(1, 2)
        # Of three axes, or not contiguous, patches would be multiplied image by image.
        y = F.linear(patches.flatten(0, 1), self.weight.flatten(1), self.bias)
        y = y.view(*patches.shape[:2], -1).transpose(1, 2)
        return y.contiguous().view(len(x), -1, height // 2, width // 2)


class LabelEncoder(nn.Module):
    """Encodes images for target labels, which join the input as constant planes.

    conv7x7 of w, conv4x4 of stride 2 and twice as many channels each, then residual blocks; padded
    with zeros, since instance norm takes away what constant planes add everywhere but at a border.

    Args:
        channels: Of the images.
        n_labels: Labels K.
        width: Channels w of the first layer.
        n_down: Convolutions of stride 2; the code has 2^n_down w channels.
        n_blocks: Residual blocks.
        norm_ends: Does an instance norm follow the convolutions before the blocks?
    """

    def __init__(
        self, channels: int, n_labels: int, width: int, n_down: int, n_blocks: int, norm_ends: bool
    ) -> None:
        super().__init__()
        self.n_labels, self.multiple = n_labels, 2**n_down
        widths = [width * 2**i for i in range(n_down + 1)]
        stem = nn.Conv2d(channels + n_labels, width, 7, padding=3, bias=not norm_ends)
        self.body = nn.Sequential(*_activated(stem, norm_ends))
        for c in widths[:-1]:
            down = nn.Conv2d(c, 2 * c, 4, stride=2, padding=1, bias=not norm_ends)
            self.body.extend(_activated(down, norm_ends))
        self.body.extend(residual_blocks(widths[-1], n_blocks))

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """Encode images (N, C, H, W) for labels (N, K) in {0, 1}: (N, c, h, w).

        Raises:
            InputError: If there are not K labels, or the images cannot be halved so often.
        """
        check_size(x, self.multiple)
        if label.shape != (len(x), self.n_labels):
            raise InputError(
                f"the generator got {len(x)} images and labels {tuple(label.shape)}, but was built "
                f"for {self.n_labels} labels: name as many domains or attributes as the data has."
            )
        planes = label.to(x.dtype)[:, :, None, None].expand(-1, -1, *x.shape[2:])
        return self.body(torch.cat([x, planes], dim=1))


class Decoder(nn.Sequential):
    """Enlargements to twice the size and half as many channels each, then conv7x7 and tanh.

    Args:
        channels: Of the images.
        width: As the encoder's.
        n_down: As the encoder's.
        norm_ends: Does an instance norm follow the enlargements?
        enlarge: How: by a `transposed` conv4x4 of stride 2, as published; or `resized` bilinearly,
            then conv3x3. A transposed one has weights of its own for each of four neighbouring
            pixels, so that a checkerboard costs it nothing.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        n_down: int,
        norm_ends: bool,
        enlarge: Enlarge = "transposed",
    ) -> None:
        super().__init__()
        for i in reversed(range(n_down)):
            c = width * 2**i
            if enlarge == "resized":
                self.append(nn.Upsample(scale_factor=2, mode="bilinear"))
            self.extend(_activated(_enlargement(2 * c, c, enlarge, bias=not norm_ends), norm_ends))
        self.append(nn.Conv2d(width, channels, 7, padding=3, bias=False))
        self.append(nn.Tanh())


class StarGANGenerator(nn.Module):
    """Maps images and labels to images with these labels.

    Args:
        channels: Of the images.
        n_labels: Labels: domains, or attributes.
        width: Channels of the first layer.
        n_down: Convolutions of stride 2.
        n_blocks: Residual blocks.
        norm_ends: Have the layers before and after the blocks instance norms, as published? They
            take each channel's mean and spread, where small images have much of their colour.
        enlarge: How the decoder enlarges: `transposed`, as published, or `resized`; see `Decoder`.
    """

    @records_init_args
    def __init__(
        self,
        channels: int = 3,
        n_labels: int = 5,
        width: int = 64,
        n_down: int = 2,
        n_blocks: int = 6,
        norm_ends: bool = True,
        enlarge: Enlarge = "transposed",
    ) -> None:
        super().__init__()
        self.n_labels = n_labels
        self.encoder = LabelEncoder(channels, n_labels, width, n_down, n_blocks, norm_ends)
        self.decoder = Decoder(channels, width, n_down, norm_ends, enlarge)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [-1, 1] and labels (N, K) in {0, 1} to such images."""
        return self.decoder(self.encoder(x, label))


class StarGANDiscriminator(nn.Module):
    """Scores realness and reads labels.

    Args:
        channels: Of the images.
        image_size: Height and width of the images.
        n_labels: Labels: domains, or attributes.
        width: Channels of the first layer; each further one has twice as many.
        n_layers: Convolutions of stride 2; published: 6 at 128 pixels.
    """

    @records_init_args
    def __init__(
        self,
        channels: int = 3,
        image_size: int = 128,
        n_labels: int = 5,
        width: int = 64,
        n_layers: int = 6,
    ) -> None:
        super().__init__()
        self.n_labels = n_labels
        self.trunk = critic_trunk(channels, width, n_layers)
        wide, size = critic_output(image_size, width, n_layers)
        self.realness = nn.Conv2d(wide, 1, 3, padding=1, bias=False)
        self.label = nn.Conv2d(wide, n_labels, size, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return realness (N, 1, h, w) and logits (N, K) of images (N, C, H, W)."""
        h = self.trunk(x)
        return self.realness(h), self.label(h).flatten(1)


def residual_blocks(channels: int, n_blocks: int) -> list[Residual]:
    """Build blocks x + (conv3x3, norm, ReLU, conv3x3, norm)(x), padded with zeros.

    Args:
        channels: Of input and output.
        n_blocks: How many.
    """
    return [Residual(_branch(channels), nn.Identity()) for _ in range(n_blocks)]


def critic_trunk(channels: int, width: int, n_layers: int) -> nn.Sequential:
    """Build convolutions 4x4 of stride 2 with LeakyReLU .01, each of twice as many channels.

    Args:
        channels: Of the images.
        width: Channels of the first layer.
        n_layers: How many.
    """
    trunk = nn.Sequential()
    for i in range(n_layers):
        c_in, c_out = (width * 2 ** (i - 1) if i else channels), width * 2**i
        trunk.extend([DownConv4x4(c_in, c_out), nn.LeakyReLU(SLOPE)])
    return trunk


def critic_output(image_size: int, width: int, n_layers: int) -> tuple[int, int]:
    """Return the channels, and the height and width, of what a trunk makes of an image.

    Args:
        image_size: Height and width of the image.
        width: Channels of the first layer.
        n_layers: Of the trunk.

    Raises:
        InputError: If the image cannot be halved so often.
    """
    size, rest = divmod(image_size, 2**n_layers)
    if rest or not size:
        raise InputError(
            f"a discriminator of {n_layers} layers cannot halve {image_size} px {n_layers} times: "
            "give it fewer n_layers, or images of another size."
        )
    return width * 2 ** (n_layers - 1), size


def check_n_labels(names: list[str], **n_labels: int) -> None:
    """Refuse networks that were not built for as many labels as there are names.

    Args:
        names: Domains or attributes.
        n_labels: Of each network, by what it is called.

    Raises:
        InputError: If one was not.
    """
    for network, n in n_labels.items():
        if n != len(names):
            raise InputError(
                f"the {network} was built for {n} labels, but there are {len(names)} domains "
                f"({', '.join(names)}): set its n_labels to {len(names)}."
            )


def _activated(conv: nn.Conv2d | nn.ConvTranspose2d, normed: bool) -> list[nn.Module]:
    norm = [AffineInstanceNorm(conv.out_channels)] if normed else []
    return [conv, *norm, nn.ReLU()]


def _enlargement(
    c_in: int, c_out: int, enlarge: Enlarge, bias: bool
) -> nn.Conv2d | nn.ConvTranspose2d:
    if enlarge == "resized":
        return nn.Conv2d(c_in, c_out, 3, padding=1, bias=bias)
    return nn.ConvTranspose2d(c_in, c_out, 4, stride=2, padding=1, bias=bias)


def _branch(channels: int) -> nn.Sequential:
    conv1, conv2 = (nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(2))
    return nn.Sequential(*_activated(conv1, normed=True), conv2, AffineInstanceNorm(channels))
