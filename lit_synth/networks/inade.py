"""INADE: diverse images from labels, by noise for instances (Tan et al. 2021, 2103.06878)."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from lit_synth.errors import InputError
from lit_synth.networks.parts.label_maps import start_size
from lit_synth.networks.parts.rebuilding import records_init_args
from lit_synth.networks.spade import SLOPE, Norm, init_xavier, statistics


class INADEGenerator(nn.Module):
    """SPADE's generator with norms whose scale and shift are drawn for each instance.

    It starts from a latent. Style of an image: the latent, then noise of each instance, for scales
    and for shifts. Without a map of instances, a class is an instance.

    Args:
        num_classes: Classes K of the labels.
        unknown: Is a pixel of no class (255) one more class? Otherwise its features are 0.
        instances: Instances M that an image may have; None: one of each class.
        image_channels: Channels of the images.
        image_size: Height and width.
        width: Channels w of the last block.
        multiples: Channels of each block over w.
        latent_dim: Length of the latent.
        noise_dim: Length of an instance's noise for scales, and for shifts.
        norm: What normalises.
    """

    @records_init_args
    def __init__(
        self,
        num_classes: int,
        unknown: bool = False,
        instances: int | None = None,
        image_channels: int = 3,
        image_size: int = 256,
        width: int = 64,
        multiples: Sequence[int] = (16, 16, 16, 8, 4, 2, 1),
        latent_dim: int = 256,
        noise_dim: int = 64,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        self.num_classes, self.instances = num_classes, instances
        self.slots = instances or num_classes + unknown
        self.latent_dim, self.noise_dim = latent_dim, noise_dim
        self.style_dim = latent_dim + 2 * self.slots * noise_dim
        self.enlarges = [False, True, False, *[True] * (len(multiples) - 3)]
        rows, widths = num_classes + unknown, [width * each for each in multiples]
        side = image_size // 2 ** sum(self.enlarges)
        self.start = nn.Linear(latent_dim, widths[0] * side**2)
        self.blocks = nn.ModuleList(
            _Block(c_in, c_out, rows, noise_dim, norm)
            for c_in, c_out in pairwise([widths[0], *widths])
        )
        self.to_image = nn.Conv2d(widths[-1], image_channels, 3, padding=1)
        init_xavier(self)

    def forward(self, ids: Tensor, style: Tensor, instances: Tensor | None = None) -> Tensor:
        """Return images (N, C, H, W) in [-1, 1].

        Args:
            ids: Labels, int64 (N, H, W).
            style: (N, style_dim).
            instances: int64 (N, H, W), below `instances`; greater is of none.
        """
        if (instances is None) != (self.instances is None):
            raise InputError(
                f"an INADEGenerator of {self.instances} instances got "
                f"{'no' if instances is None else 'a'} map of instances: give it one just where "
                "instances is not null."
            )
        z, noise = style[:, : self.latent_dim], style[:, self.latent_dim :]
        # One matrix product: of strided rows its last bits would depend on where they lie.
        noise = noise.contiguous().view(len(noise), self.slots, 2, self.noise_dim)
        height, width = start_size(ids, sum(self.enlarges), "INADEGenerator")
        x = self.start(z).view(len(z), -1, height, width)
        ids = ids.clamp(max=self.num_classes)
        maps = torch.stack([ids, ids if instances is None else instances])
        for block, enlarge in zip(self.blocks, self.enlarges, strict=True):
            if enlarge:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = block(x, _nearest(maps, *x.shape[-2:]), noise)
        return self.to_image(F.leaky_relu(x, SLOPE)).tanh()


class INADENorm(nn.Module):
    """(a_c n_i + b_c) x^ + (a'_c n'_i + b'_c) at a pixel of class c and instance i.

    x^ is normalised without parameters; n_i and n'_i are one linear map of the instance's noise.

    Args:
        channels: Channels of its input.
        rows: Classes of the labels.
        noise_dim: Length of an instance's noise.
    """

    def __init__(self, channels: int, rows: int, noise_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(rows, channels, 2))
        self.bias = nn.Parameter(torch.zeros(rows, channels, 2))
        self.of_noise = nn.Linear(noise_dim, channels)
        nn.init.uniform_(self.weight)

    def forward(self, normalised: Tensor, maps: Tensor, noise: Tensor) -> Tensor:
        """Return the scaled and shifted features (N, C, H, W) of what is normalised.

        Args:
            normalised: (N, C, H, W).
            maps: Labels and instances, int64 (2, N, H, W).
            noise: (N, M, 2, noise_dim).
        """
        ids, instances = maps
        drawn = self.of_noise(noise).flatten(2)  # scales, then shifts
        first = torch.arange(len(drawn), device=ids.device)[:, None, None] * (drawn.shape[1] + 1)
        of_instance = F.embedding(
            first + instances.clamp(max=drawn.shape[1]), F.pad(drawn, (0, 0, 0, 1)).flatten(0, 1)
        )
        table = torch.cat([_by_class(self.weight), _by_class(self.bias)], dim=1)
        of_class = F.embedding(ids.clamp(max=len(table)), F.pad(table, (0, 0, 0, 1)))
        weight, bias = of_class.chunk(2, dim=-1)
        scale, shift = torch.addcmul(bias, weight, of_instance).permute(0, 3, 1, 2).chunk(2, dim=1)
        return torch.addcmul(shift, normalised.to(shift.dtype), scale)


class _Block(nn.Module):
    """A `SPADEBlock` with INADE's norms."""

    def __init__(
        self, in_channels: int, out_channels: int, rows: int, noise_dim: int, norm: Norm
    ) -> None:
        super().__init__()
        middle = min(in_channels, out_channels)
        self.statistics1, self.statistics2 = statistics(norm, in_channels, middle)
        self.norm1 = INADENorm(in_channels, rows, noise_dim)
        self.norm2 = INADENorm(middle, rows, noise_dim)
        self.conv1 = spectral_norm(nn.Conv2d(in_channels, middle, 3, padding=1))
        self.conv2 = spectral_norm(nn.Conv2d(middle, out_channels, 3, padding=1))
        self.learns_shortcut = in_channels != out_channels
        if self.learns_shortcut:
            self.norm_shortcut = INADENorm(in_channels, rows, noise_dim)
            self.shortcut = spectral_norm(nn.Conv2d(in_channels, out_channels, 1, bias=False))

    def forward(self, x: Tensor, maps: Tensor, noise: Tensor) -> Tensor:
        normalised = self.statistics1(x)
        h = self.conv1(F.leaky_relu(self.norm1(normalised, maps, noise), SLOPE))
        h = self.conv2(F.leaky_relu(self.norm2(self.statistics2(h), maps, noise), SLOPE))
        if self.learns_shortcut:
            x = self.shortcut(self.norm_shortcut(normalised, maps, noise))
        return x + h


def _by_class(parameter: Tensor) -> Tensor:
    """Return (K, C, 2) as (K, 2 C): of scales, then of shifts."""
    return parameter.permute(0, 2, 1).flatten(1)


def _nearest(maps: Tensor, height: int, width: int) -> Tensor:
    rows, columns = (
        torch.arange(new, device=maps.device) * old // new
        for new, old in zip((height, width), maps.shape[-2:], strict=True)
    )
    return maps[..., rows[:, None], columns]
