"""StarGAN v2's networks (arXiv:1912.01865, appendix F): translator, mapping, encoder, critic."""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.networks.parts.blocks import conv3x3_pool, up_conv3x3
from lit_synth.networks.parts.norms import AffineInstanceNorm, adaptive_instance_norm
from lit_synth.networks.parts.rebuilding import records_init_args

SLOPE = 0.2
CODE_PX = 16  # side of the features that are in the middle of the generator
MASKED_PX = (32, 64, 128)  # sides at which the high-passed input may join
SHIFT = math.sqrt(0.5)  # keeps the variance of the sum of two branches


class StarGANv2Generator(nn.Module):
    """Maps images and styles to images: G(x, s), whose second half has s in every norm.

    Follows https://github.com/clovaai/stargan-v2 at 875b70a: a convolution, residual blocks with
    instance norm down to 16 pixels, two more, and the same way back with adaptive norms. Nearest
    enlargement and the mean of 2x2 pixels are part of the convolution beside them, and shortcuts
    are convolved at the lower resolution: the same maps with fewer multiplications.

    Args:
        channels: Of the images.
        image_size: Side in pixels, a power of two from 16 on; published: 256.
        width: Channels of the first layer; None: 2^14 / image_size, as published.
        max_width: Most channels that a layer has.
        style_dim: Length of s.
        high_pass: Weight w of the path that hands edges of the input on where a mask lets it, with
            a kernel of 1 / w; 0: no such path, as published for animals.
        fold: Side of the squares of pixels that a network takes as the channels of one, so that all
            layers are as many times smaller; 1: none, as published.
    """

    @records_init_args
    def __init__(
        self,
        channels: int = 3,
        image_size: int = 256,
        width: int | None = None,
        max_width: int = 512,
        style_dim: int = 64,
        high_pass: float = 0.0,
        fold: int = 1,
    ) -> None:
        super().__init__()
        self.image_size, self.style_dim = image_size, style_dim
        self.fold, self.high_pass = fold, high_pass
        n_down = _halvings(image_size, fold, CODE_PX) + (high_pass > 0)
        widths = _widths(image_size, width, max_width, n_down)
        ways = [*pairwise(widths)]
        wide, plain = widths[-1], high_pass == 0
        self.first = nn.Conv2d(channels * fold**2, widths[0], 3, padding=1)
        self.encoder = nn.ModuleList(
            [ResidualBlock(i, o, down=True, norm=True) for i, o in ways]
            + [ResidualBlock(wide, wide, down=False, norm=True) for _ in range(2)]
        )
        self.decoder = nn.ModuleList(
            [StyledBlock(wide, wide, style_dim, up=False, shortcut=plain) for _ in range(2)]
            + [StyledBlock(o, i, style_dim, up=True, shortcut=plain) for i, o in reversed(ways)]
        )
        self.norm = AffineInstanceNorm(widths[0])
        self.last = nn.Conv2d(widths[0], channels * fold**2, 1)
        self.apply(init_he)
        # The pixels of a square start alike, lest they draw a chequered pattern.
        first = self.last.weight.detach()[:: fold**2]
        self.last.weight.data.copy_(first.repeat_interleave(fold**2, dim=0))
        if high_pass:
            self.register_buffer("edges", edges_kernel(high_pass))

    def forward(self, x: Tensor, s: Tensor, mask: tuple[Tensor, ...] | None = None) -> Tensor:
        """Map images (N, C, H, W) and styles (N, style_dim) to images.

        Args:
            x: The images.
            s: The styles.
            mask: Where edges are to stay, two of (N, 1, h, w) in [0, 1]: at 32 pixels, and above.
        """
        e, kept = self.encode(x, keep=mask is not None)
        return self.decode(e, s, mask, kept)

    def encode(self, x: Tensor, keep: bool = False) -> tuple[Tensor, dict[int, Tensor]]:
        """Return the code (N, c, h, w) of images, and features by side where they are to be kept.

        Args:
            x: Images (N, C, H, W).
            keep: Keep them?

        Raises:
            InputError: If the images have another size.
        """
        check_image_size(x, self.image_size)
        h, kept = self.first(F.pixel_unshuffle(x, self.fold)), {}
        for block in self.encoder:
            if keep and h.shape[2] in MASKED_PX:
                kept[h.shape[2]] = h
            h = block(h)
        return h, kept

    def decode(
        self,
        e: Tensor,
        s: Tensor,
        mask: tuple[Tensor, ...] | None = None,
        kept: dict[int, Tensor] | None = None,
    ) -> Tensor:
        """Return the images (N, C, H, W) of codes (N, c, h, w) in styles (N, style_dim)."""
        h = e
        for block in self.decoder:
            h = block(h, s)
            if mask is not None and kept and h.shape[2] in kept:
                size = h.shape[2]
                share = F.interpolate(mask[size > MASKED_PX[0]], size=size, mode="bilinear")
                h = h + self._edges_of(share * kept[size])
        return F.pixel_shuffle(self.last(F.leaky_relu(self.norm(h), SLOPE)), self.fold)

    def _edges_of(self, h: Tensor) -> Tensor:
        kernel = self.get_buffer("edges").expand(h.shape[1], 1, 3, 3)
        return F.conv2d(h, kernel, padding=1, groups=h.shape[1])


class StarGANv2Mapping(nn.Module):
    """Maps latents to styles, of each domain by layers of its own: F_y(z).

    Args:
        n_domains: Domains.
        latent_dim: Length of z.
        style_dim: Length of s.
        hidden: Units of each layer.
    """

    @records_init_args
    def __init__(
        self, n_domains: int = 3, latent_dim: int = 16, style_dim: int = 64, hidden: int = 512
    ) -> None:
        super().__init__()
        self.n_domains, self.latent_dim, self.style_dim = n_domains, latent_dim, style_dim
        self.shared = _perceptron([latent_dim, *[hidden] * 4]).append(nn.ReLU())
        own = [_perceptron([*[hidden] * 4, style_dim]) for _ in range(n_domains)]
        self.domains = nn.ModuleList(own)
        self.apply(init_he)

    def forward(self, z: Tensor, domain: Tensor) -> Tensor:
        """Return the styles (N, style_dim) of latents (N, latent_dim) in domains (N,)."""
        return _of_domains(self.shared(z), domain, self.domains)


class StarGANv2Encoder(nn.Module):
    """Reads the styles of images, of each domain by a layer of its own: E_y(x).

    Args:
        channels: Of the images.
        image_size: Side in pixels, a power of two from 8 on; published: 256.
        n_domains: Domains.
        width: Channels of the first layer; None: 2^14 / image_size, as published.
        max_width: Most channels that a layer has.
        style_dim: Length of s.
        fold: Side of the squares of pixels that a network takes as the channels of one, so that all
            layers are as many times smaller; 1: none, as published.
    """

    @records_init_args
    def __init__(
        self,
        channels: int = 3,
        image_size: int = 256,
        n_domains: int = 3,
        width: int | None = None,
        max_width: int = 512,
        style_dim: int = 64,
        fold: int = 1,
    ) -> None:
        super().__init__()
        self.image_size, self.n_domains, self.style_dim = image_size, n_domains, style_dim
        self.shared, wide = _trunk(channels, image_size, width, max_width, fold)
        self.domains = nn.ModuleList([nn.Linear(wide, style_dim) for _ in range(n_domains)])
        self.apply(init_he)

    def forward(self, x: Tensor, domain: Tensor) -> Tensor:
        """Return the styles (N, style_dim) of images (N, C, H, W) of domains (N,)."""
        return self.styles(self.features(x), domain)

    def features(self, x: Tensor) -> Tensor:
        """Return what all domains read of images (N, C, H, W): (N, c)."""
        check_image_size(x, self.image_size)
        return self.shared(x).flatten(1)

    def styles(self, features: Tensor, domain: Tensor) -> Tensor:
        """Return the styles (N, style_dim) of features (N, c) of images of domains (N,)."""
        return _of_domains(features, domain, self.domains)


class StarGANv2Discriminator(nn.Module):
    """Scores images as ones of a domain, each by a branch of its own: D_y(x).

    Args:
        channels: Of the images.
        image_size: Side in pixels, a power of two from 8 on; published: 256.
        n_domains: Domains.
        width: Channels of the first layer; None: 2^14 / image_size, as published.
        max_width: Most channels that a layer has.
        fold: Side of the squares of pixels that a network takes as the channels of one, so that all
            layers are as many times smaller; 1: none, as published.
    """

    @records_init_args
    def __init__(
        self,
        channels: int = 3,
        image_size: int = 256,
        n_domains: int = 3,
        width: int | None = None,
        max_width: int = 512,
        fold: int = 1,
    ) -> None:
        super().__init__()
        self.image_size, self.n_domains = image_size, n_domains
        self.trunk, wide = _trunk(channels, image_size, width, max_width, fold)
        self.domains = nn.Conv2d(wide, n_domains, 1)
        self.apply(init_he)

    def forward(self, x: Tensor, domain: Tensor) -> Tensor:
        """Return scores (N,) of images (N, C, H, W) as ones of domains (N,)."""
        check_image_size(x, self.image_size)
        return self.domains(self.trunk(x)).flatten(1).gather(1, domain[:, None])[:, 0]


class ResidualBlock(nn.Module):
    """((norm, leaky ReLU, conv3x3) twice + shortcut) / sqrt(2), half the size between the two.

    Args:
        in_channels: Channels of its input, kept by the first convolution.
        out_channels: Channels of its output.
        down: Take the mean of 2x2 pixels?
        norm: Have instance norms?
    """

    def __init__(self, in_channels: int, out_channels: int, down: bool, norm: bool) -> None:
        super().__init__()
        self.down = down
        self.norm1 = AffineInstanceNorm(in_channels) if norm else nn.Identity()
        self.norm2 = AffineInstanceNorm(in_channels) if norm else nn.Identity()
        self.conv1 = nn.Conv2d(in_channels, in_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.activation = nn.LeakyReLU(SLOPE)
        self.shortcut = _shortcut(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        h = self.activation(self.norm1(x))
        if self.down:
            h = conv3x3_pool(h, self.conv1.weight, self.conv1.bias)
            x = F.avg_pool2d(x, 2)
        else:
            h = self.conv1(h)
        h = self.conv2(self.activation(self.norm2(h)))
        return (h + self.shortcut(x)) * SHIFT


class StyledBlock(nn.Module):
    """((adaptive norm, leaky ReLU, conv3x3) twice + shortcut) / sqrt(2), twice the size at first.

    Args:
        in_channels: Channels of its input.
        out_channels: Channels of its output.
        style_dim: Length of styles.
        up: Enlarge, to the nearest?
        shortcut: Is there one, and a scale? There is none where edges of the input join.
    """

    def __init__(
        self, in_channels: int, out_channels: int, style_dim: int, up: bool, shortcut: bool
    ) -> None:
        super().__init__()
        self.up, self.sums = up, shortcut
        self.norm1 = StyledNorm(in_channels, style_dim)
        self.norm2 = StyledNorm(out_channels, style_dim)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.activation = nn.LeakyReLU(SLOPE)
        self.shortcut = _shortcut(in_channels, out_channels)

    def forward(self, x: Tensor, s: Tensor) -> Tensor:
        h = self.activation(self.norm1(x, s))
        grown = up_conv3x3(h, self.conv1.weight, self.conv1.bias) if self.up else self.conv1(h)
        h = self.conv2(self.activation(self.norm2(grown, s)))
        if not self.sums:
            return h
        passed = self.shortcut(x)
        if self.up:
            passed = F.interpolate(passed, scale_factor=2, mode="nearest")
        return (h + passed) * SHIFT


class StyledNorm(nn.Module):
    """(1 + gamma(s)) (x - mean) / sqrt(var + 1e-5) + beta(s), over each image and channel.

    Args:
        channels: Of its input.
        style_dim: Length of styles.
    """

    def __init__(self, channels: int, style_dim: int) -> None:
        super().__init__()
        self.affine = nn.Linear(style_dim, 2 * channels)

    def forward(self, x: Tensor, s: Tensor) -> Tensor:
        gamma, beta = self.affine(s).chunk(2, dim=1)
        return adaptive_instance_norm(x, 1 + gamma, beta)


def edges_kernel(w: float) -> Tensor:
    """Return the kernel (3, 3) that is left of an image by edges alone, weighted by 1 / w."""
    kernel = torch.full((3, 3), -1.0)
    kernel[1, 1] = 8.0
    return kernel / w


def init_he(layer: nn.Module) -> None:
    """Draw weights of a convolution or linear layer as of He et al. (arXiv:1502.01852); no bias."""
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def check_image_size(x: Tensor, image_size: int) -> None:
    """Raise InputError unless images (N, C, H, W) have the side that a network is built for."""
    if x.shape[2:] != (image_size, image_size):
        raise InputError(
            f"the network is for images of {image_size}x{image_size} px, but got "
            f"{x.shape[2]}x{x.shape[3]}: give the data and all networks the same image_size."
        )


def _halvings(image_size: int, fold: int, end: int) -> int:
    """Return how many halvings lead from an image of folded pixels to `end` of them."""
    n = (image_size // (end * max(fold, 1))).bit_length() - 1
    if n < 0 or fold < 1 or fold * end * 2**n != image_size:
        raise InputError(
            f"image_size is {image_size} and fold {fold}: expected fold times a power of two from "
            f"{end} on, such as 64 or 256 px and fold 1 or 2."
        )
    return n


def _widths(image_size: int, width: int | None, max_width: int, n: int) -> list[int]:
    """Return the channels of the first layer and after each of n halvings."""
    first = max(2**14 // image_size if width is None else width, 1)
    return [first, *(min(first * 2**k, max_width) for k in range(1, n + 1))]


def _trunk(
    channels: int, image_size: int, width: int | None, max_width: int, fold: int
) -> tuple[nn.Sequential, int]:
    """Return the layers that lead to one pixel, and their channels."""
    widths = _widths(image_size, width, max_width, _halvings(image_size, fold, 8) + 1)
    ways = pairwise(widths)
    wide = widths[-1]
    return nn.Sequential(
        nn.PixelUnshuffle(fold),
        nn.Conv2d(channels * fold**2, widths[0], 3, padding=1),
        *(ResidualBlock(i, o, down=True, norm=False) for i, o in ways),
        nn.LeakyReLU(SLOPE),
        nn.Conv2d(wide, wide, 4),
        nn.LeakyReLU(SLOPE),
    ), wide


def _shortcut(in_channels: int, out_channels: int) -> nn.Module:
    same = in_channels == out_channels
    return nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1, bias=False)


def _perceptron(units: list[int]) -> nn.Sequential:
    """Return linear layers of these units with a ReLU between any two."""
    layers: list[nn.Module] = []
    for i, o in pairwise(units):
        layers += [nn.Linear(i, o), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _of_domains(h: Tensor, domain: Tensor, layers: nn.ModuleList) -> Tensor:
    """Return for each image what the layers of its own domain make of features (N, c)."""
    made = torch.stack([layer(h) for layer in layers], dim=1)
    return made[torch.arange(len(h), device=h.device), domain]
