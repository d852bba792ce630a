"""SDIT's networks: a label for the domain, a latent code for the style (thesis section 6.4)."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.networks.parts.norms import AffineInstanceNorm, adaptive_instance_norm
from lit_synth.networks.parts.rebuilding import records_init_args
from lit_synth.networks.resnet_translator import ReflectConv2d
from lit_synth.networks.stargan import (
    SLOPE,
    Decoder,
    DownConv4x4,
    Enlarge,
    LabelEncoder,
    critic_output,
    critic_trunk,
    residual_blocks,
)

Gamma = Literal["raw", "one_plus", "one"]
Beta = Literal["learned", "zero"]
Attention = Literal["text", "released", "pixel", "fine", "none"]
CodeFrom = Literal["trunk", "change"]
Decode = Callable[[Tensor], Tensor]
Affine = tuple[Tensor, Tensor]  # gamma and beta of a layer, each (N, channels)

HIDDEN = 256  # units of the mapping
POOLED, LEAST = 4, 16  # pixels along each axis that are one in a guess from changes; its stride


class Verdict(NamedTuple):
    """What the discriminator says of images.

    Attributes:
        realness: Scores (N, 1, h, w).
        logits: Of the labels (N, K).
        code: Guess of the latent code (N, style_dim) that made the image.
    """

    realness: Tensor
    logits: Tensor
    code: Tensor


class SDITGenerator(nn.Module):
    """Maps images, labels and latent codes to images: G(E(x, l), M(z)).

    StarGAN's generator with a second half of residual blocks, T^c, whose instance norms take scale
    and shift from M(z), and with a map a = T^a(E(x, l)) of where that counts.

    The section says six blocks with conditional norms, but M's 4,096 outputs are those of four. Its
    attention is one map in the released code, as here; the instance norm before the sigmoid keeps
    the map from saturating.

    Args:
        channels: Of the images.
        n_labels: Labels: domains, or attributes.
        width: Channels of the first layer.
        n_down: Convolutions of stride 2.
        n_blocks_encoder: Residual blocks of E.
        n_blocks: Residual blocks of T^c, with two conditional norms each.
        n_blocks_attention: Residual blocks of T^a.
        style_dim: Length of z.
        attention: What is decoded: `text`, (1 - a) e + a f (eq. 6.9); `released`, a f, as in the
            released code; `none`, f. Or `pixel`, an extension: f is, and (1 - a) x + a y leaves
            the input as it is where a is 0; `fine`, the same with a map that is enlarged to the
            images' size by convolutions of its own, and so can follow an object's outline.
        attention_per_channel: Has each channel of e a map of its own?
        gamma: The conditional norms' scale: M's output (`raw`, as in the released code, so that
            blocks start close to the identity), 1 plus it, or 1.
        beta: Their shift: M's output, or 0.
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
        n_blocks_encoder: int = 6,
        n_blocks: int = 4,
        n_blocks_attention: int = 5,
        style_dim: int = 8,
        attention: Attention = "text",
        attention_per_channel: bool = False,
        gamma: Gamma = "raw",
        beta: Beta = "learned",
        norm_ends: bool = True,
        enlarge: Enlarge = "transposed",
    ) -> None:
        super().__init__()
        self.n_labels, self.style_dim = n_labels, style_dim
        wide = width * 2**n_down
        self.encoder = LabelEncoder(channels, n_labels, width, n_down, n_blocks_encoder, norm_ends)
        self.mapping = Mapping(style_dim, 2 * n_blocks, wide, gamma, beta)
        self.content = StyleTrunk(wide, n_blocks)
        self.attention: nn.Module = Everywhere()
        if attention == "fine":
            self.attention = FineAttention(wide, n_blocks_attention, n_down)
        elif attention != "none":
            maps = wide if attention_per_channel else 1
            self.attention = AttentionTrunk(wide, n_blocks_attention, maps)
        self.combine = COMBINATIONS[attention]
        self.decoder = Decoder(channels, width, n_down, norm_ends, enlarge)

    def forward(self, x: Tensor, label: Tensor, z: Tensor) -> Tensor:
        """Map images (N, C, H, W), labels (N, K) in {0, 1} and codes (N, style_dim) to images."""
        e = self.encoder(x, label)
        f = self.content(e, self.mapping(z))
        return self.combine(x, e, f, self.attention(e), self.decoder)

    def attention_map(self, x: Tensor, label: Tensor) -> Tensor:
        """Return a (N, 1, H, W), its mean over channels; 1 everywhere without attention."""
        return _enlarged(self.attention(self.encoder(x, label)), x)


class Mapping(nn.Module):
    """M(z): a layer of 256 units, and one with scale and shift for every conditional norm.

    Args:
        style_dim: Length of z.
        n_norms: Conditional norms.
        channels: Of each norm.
        gamma: What the scales are; see `SDITGenerator`.
        beta: What the shifts are.
    """

    def __init__(
        self, style_dim: int, n_norms: int, channels: int, gamma: Gamma, beta: Beta
    ) -> None:
        super().__init__()
        self.shape = (n_norms, 2, channels)
        last = nn.Linear(HIDDEN, 2 * n_norms * channels)
        self.body = nn.Sequential(nn.Linear(style_dim, HIDDEN), nn.ReLU(), last)
        self.scale, self.shift = SCALES[gamma], SHIFTS[beta]

    def forward(self, z: Tensor) -> list[Affine]:
        """Return gamma and beta of every norm, from codes (N, style_dim)."""
        # A norm has a slice of its own; the released code has the second to the last share one.
        slices = self.body(z).unflatten(1, self.shape).unbind(1)
        return [(self.scale(each[:, 0]), self.shift(each[:, 1])) for each in slices]


class StyleTrunk(nn.Module):
    """T^c: residual blocks whose instance norms are conditional.

    Args:
        channels: Of input and output.
        n_blocks: How many blocks.
    """

    def __init__(self, channels: int, n_blocks: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([StyleBlock(channels) for _ in range(n_blocks)])

    def forward(self, h: Tensor, affine: list[Affine]) -> Tensor:
        for block, first, second in zip(self.blocks, affine[::2], affine[1::2], strict=True):
            h = block(h, first, second)
        return h


class StyleBlock(nn.Module):
    """x + (conv3x3, conditional norm, ReLU, conv3x3, conditional norm)(x), padded reflected.

    Args:
        channels: Of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = ReflectConv2d(channels, channels, 3)
        self.conv2 = ReflectConv2d(channels, channels, 3)

    def forward(self, x: Tensor, first: Affine, second: Affine) -> Tensor:
        h = adaptive_instance_norm(self.conv1(x), *first)
        return x + adaptive_instance_norm(self.conv2(h.relu()), *second)


class AttentionTrunk(nn.Sequential):
    """T^a: residual blocks, conv3x3, instance norm, sigmoid.

    Args:
        channels: Of its input.
        n_blocks: How many blocks.
        maps: Channels of its output.
    """

    def __init__(self, channels: int, n_blocks: int, maps: int) -> None:
        conv = nn.Conv2d(channels, maps, 3, padding=1, bias=False)
        blocks = residual_blocks(channels, n_blocks)
        super().__init__(*blocks, conv, AffineInstanceNorm(maps), nn.Sigmoid())


class FineAttention(nn.Sequential):
    """T^a of a map of the images' size: residual blocks, enlargements, instance norm, sigmoid.

    Args:
        channels: Of its input; each enlargement, bilinear and conv3x3, halves them.
        n_blocks: How many blocks.
        n_up: Enlargements to twice the size.
    """

    def __init__(self, channels: int, n_blocks: int, n_up: int) -> None:
        super().__init__(*residual_blocks(channels, n_blocks))
        for _ in range(n_up):
            self.append(nn.Upsample(scale_factor=2, mode="bilinear"))
            self.append(nn.Conv2d(channels, channels // 2, 3, padding=1))
            self.append(nn.ReLU())
            channels //= 2
        conv = nn.Conv2d(channels, 1, 3, padding=1, bias=False)
        self.extend([conv, AffineInstanceNorm(1), nn.Sigmoid()])


class Everywhere(nn.Module):
    """In place of an attention trunk: one map of ones."""

    def forward(self, e: Tensor) -> Tensor:
        return torch.ones_like(e[:, :1])


class SDITDiscriminator(nn.Module):
    """Scores realness, reads labels and guesses latent codes.

    Args:
        channels: Of the images.
        image_size: Height and width of the images.
        n_labels: Labels: domains, or attributes.
        style_dim: Length of z.
        width: Channels of the first layer; each further one has twice as many.
        n_layers: Convolutions of stride 2; published: 6 at 128 pixels.
        code_from: What the code is guessed from: the `trunk` that also judges, as published; or the
            `change` from the input to the image, pooled (see `ChangeCode`). A trunk finds it first
            in patterns of single pixels, where images have little of their own.
    """

    @records_init_args
    def __init__(
        self,
        channels: int = 3,
        image_size: int = 128,
        n_labels: int = 5,
        style_dim: int = 8,
        width: int = 64,
        n_layers: int = 6,
        code_from: CodeFrom = "trunk",
    ) -> None:
        super().__init__()
        self.n_labels, self.style_dim = n_labels, style_dim
        self.trunk = critic_trunk(channels, width, n_layers)
        wide, size = critic_output(image_size, width, n_layers)
        self.realness = nn.Conv2d(wide, 1, 3, padding=1, bias=False)
        self.label = nn.Conv2d(wide, n_labels, size, bias=False)
        self.code = (
            ChangeCode(channels, image_size, style_dim, width)
            if code_from == "change"
            else _code_of_trunk(wide, size, style_dim)
        )

    def forward(self, x: Tensor, source: Tensor | None = None) -> Verdict:
        """Judge images (N, C, H, W), of which `source` are those that they were made from.

        Without `source` nothing is taken to have changed.
        """
        h = self.trunk(x)
        if isinstance(self.code, ChangeCode):
            code = self.code(x - (x if source is None else source))
        else:
            code = self.code(h)
        return Verdict(self.realness(h), self.label(h).flatten(1), code)


class ChangeCode(nn.Sequential):
    """Guesses codes from what a translation changed, pooled over 4x4 pixels.

    What alternates from pixel to pixel is gone, and so is what images differ in anyway, among which
    a code is hard to find.

    Args:
        channels: Of the images.
        image_size: Height and width of the images.
        style_dim: Length of z.
        width: Channels of the first convolution.

    Raises:
        InputError: If the images are not of a multiple of 16 pixels.
    """

    def __init__(self, channels: int, image_size: int, style_dim: int, width: int) -> None:
        if image_size % LEAST:
            raise InputError(
                f"a code cannot be guessed from changes of {image_size} px: give images of a "
                f"multiple of {LEAST} px, or code_from: trunk."
            )
        super().__init__(
            nn.AvgPool2d(POOLED),
            nn.Conv2d(channels, width, 3, padding=1), nn.LeakyReLU(SLOPE),
            DownConv4x4(width, 2 * width), nn.LeakyReLU(SLOPE),
            DownConv4x4(2 * width, 4 * width), nn.LeakyReLU(SLOPE), nn.Flatten(),
            nn.Linear(4 * width * (image_size // LEAST) ** 2, style_dim),
        )  # fmt: skip


def _code_of_trunk(wide: int, size: int, style_dim: int) -> nn.Sequential:
    # F_rec: a map for each coordinate of z, then a hidden layer (the section has one layer).
    return nn.Sequential(
        nn.Conv2d(wide, style_dim, 3, padding=1), nn.Flatten(),
        nn.Linear(style_dim * size**2, style_dim), nn.ReLU(),
        nn.Linear(style_dim, style_dim),
    )  # fmt: skip


def _same(x: Tensor) -> Tensor:
    return x


def _one_plus(x: Tensor) -> Tensor:
    return 1 + x


def _mixed_features(_x: Tensor, e: Tensor, f: Tensor, a: Tensor, decode: Decode) -> Tensor:
    return decode((1 - a) * e + a * f)


def _weighted_features(_x: Tensor, _e: Tensor, f: Tensor, a: Tensor, decode: Decode) -> Tensor:
    return decode(a * f)


def _mixed_pixels(x: Tensor, _e: Tensor, f: Tensor, a: Tensor, decode: Decode) -> Tensor:
    a = _enlarged(a, x)
    return (1 - a) * x + a * decode(f)


def _features(_x: Tensor, _e: Tensor, f: Tensor, _a: Tensor, decode: Decode) -> Tensor:
    return decode(f)


def _enlarged(a: Tensor, x: Tensor) -> Tensor:
    """Return the mean over channels of maps (N, c, h, w) at the size of images x: (N, 1, H, W)."""
    return F.interpolate(a.mean(dim=1, keepdim=True), x.shape[2:], mode="bilinear")


SCALES: dict[Gamma, Callable[[Tensor], Tensor]] = {
    "raw": _same,
    "one_plus": _one_plus,
    "one": torch.ones_like,
}
SHIFTS: dict[Beta, Callable[[Tensor], Tensor]] = {"learned": _same, "zero": torch.zeros_like}
COMBINATIONS: dict[Attention, Callable[[Tensor, Tensor, Tensor, Tensor, Decode], Tensor]] = {
    "text": _mixed_features,
    "released": _weighted_features,
    "pixel": _mixed_pixels,
    "fine": _mixed_pixels,
    "none": _features,
}
