"""StarGAN's networks for modalities of different channels (arXiv:1711.09020, tables 4 and 5)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.networks.parts.blocks import Residual
from lit_synth.networks.parts.codes import check_size, unpool
from lit_synth.networks.parts.norms import InstanceNorm
from lit_synth.networks.parts.rebuilding import records_init_args

SLOPE = 0.01


class ModalityGenerator(nn.Module):
    """Maps any modality to any other; only the first and the last layer are a modality's own.

    As in StarGAN the target is told by constant planes that join the input, one per modality.
    Unlike there, strides are 2x2 max-pools, whose indices place what is enlarged again: the side
    information of M&MNets (thesis, table 4.4).

    Args:
        channels: Modality -> its channels.
        width: Channels of the first layer; the shared layers have two and four times as many.
        n_residual: Residual blocks at a quarter of the size.
        images: Modalities whose output ends in tanh.
    """

    @records_init_args
    def __init__(
        self,
        channels: dict[str, int],
        width: int = 64,
        n_residual: int = 6,
        images: list[str] = [],  # noqa: B006  never mutated
    ) -> None:
        super().__init__()
        self.names, self.images = list(channels), list(images)
        wide = [width, 2 * width, 4 * width]
        self.first = nn.ModuleDict(
            {name: _conv(c + len(channels), wide[0], 7) for name, c in channels.items()}
        )
        self.down = nn.ModuleList([_conv(wide[0], wide[1], 3), _conv(wide[1], wide[2], 3)])
        self.trunk = nn.Sequential(*[_residual(wide[2]) for _ in range(n_residual)])
        self.up = nn.ModuleList([_conv(wide[2], wide[1], 3), _conv(wide[1], wide[0], 3)])
        self.last = nn.ModuleDict(
            {name: nn.Conv2d(wide[0], c, 7, padding=3) for name, c in channels.items()}
        )

    def forward(self, x: Tensor, source: str, target: str) -> Tensor:
        """Map codes (N, c, H, W) of one modality to (N, c', H, W) of another."""
        check_size(x, multiple=4)
        planes = torch.zeros_like(x[:, :1]).repeat(1, len(self.names), 1, 1)
        planes[:, self.names.index(target)] = 1
        h = self.first[source](torch.cat([x, planes], dim=1))
        indices = []
        for conv in self.down:
            h, positions = F.max_pool2d(h, 2, return_indices=True)
            indices.append(positions)
            h = conv(h)
        h = self.trunk(h)
        for conv in self.up:
            h = unpool(conv(h), indices.pop())
        y = self.last[target](h)
        return y.tanh() if target in self.images else y


class ModalityDiscriminator(nn.Module):
    """Scores realness and names the modality; only the first layer is a modality's own.

    Args:
        channels: Modality -> its channels.
        width: Channels of the first layer; each further one has twice as many.
        layers: Convolutions of stride 2 (StarGAN: 6 for 128 pixels).
    """

    @records_init_args
    def __init__(self, channels: dict[str, int], width: int = 64, layers: int = 6) -> None:
        super().__init__()
        self.first = nn.ModuleDict(
            {name: nn.Conv2d(c, width, 4, stride=2, padding=1) for name, c in channels.items()}
        )
        self.trunk = nn.Sequential(nn.LeakyReLU(SLOPE))
        for _ in range(layers - 1):
            self.trunk.append(nn.Conv2d(width, 2 * width, 4, stride=2, padding=1))
            self.trunk.append(nn.LeakyReLU(SLOPE))
            width *= 2
        self.realness = nn.Conv2d(width, 1, 3, padding=1, bias=False)
        self.modality = nn.Conv2d(width, len(channels), 1, bias=False)

    def forward(self, x: Tensor, name: str) -> tuple[Tensor, Tensor]:
        """Return realness (N, 1, h, w) and logits (N, K) of codes (N, c, H, W) of a modality."""
        h = self.trunk(self.first[name](x))
        return self.realness(h), self.modality(h).mean(dim=(2, 3))


def _conv(c_in: int, c_out: int, kernel_size: int) -> nn.Sequential:
    # Zero padding: instance norm takes away what constant planes add everywhere but at the border.
    conv = nn.Conv2d(c_in, c_out, kernel_size, padding=kernel_size // 2, bias=False)
    return nn.Sequential(conv, InstanceNorm(), nn.ReLU())


def _residual(channels: int) -> Residual:
    conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
    branch = nn.Sequential(*_conv(channels, channels, 3), conv, InstanceNorm())
    return Residual(branch, nn.Identity())
