"""Discriminators that score patches: M&MNets' two and the 70x70 PatchGAN (arXiv:1611.07004)."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from lit_synth.networks.parts.codes import init_he
from lit_synth.networks.parts.norms import BatchNorm, InstanceNorm
from lit_synth.networks.parts.rebuilding import records_init_args

Norm = Literal["none", "batch", "instance"]

SLOPE = 0.2


class PatchDiscriminator(nn.Module):
    """Strided convolutions with LeakyReLU .2, then a convolution to one score per patch.

    Thesis table A.6: kernel_size 5, norm batch. Table A.9: the defaults. The 70x70 PatchGAN of
    pix2pix (norm batch) and CycleGAN (norm instance): last_stride 1, head_size 4.

    Weights start as He's for LeakyReLU .2: at the published widths close to the papers' std of
    .02, which would fade through narrow layers without norms.

    Args:
        channels: Channels of its input, images joined where it judges pairs.
        widths: Channels of the hidden layers; of stride 2, the last one of last_stride.
        kernel_size: Of the hidden layers; padded by (kernel_size - 1) // 2.
        norm: What follows each hidden convolution but the first.
        last_stride: Stride of the last hidden layer.
        head_size: Kernel size of the scores' convolution, of stride 1.
    """

    @records_init_args
    def __init__(
        self,
        channels: int = 3,
        widths: Sequence[int] = (64, 128, 256, 512),
        kernel_size: int = 4,
        norm: Norm = "none",
        last_stride: int = 2,
        head_size: int = 1,
    ) -> None:
        super().__init__()
        self.body = nn.Sequential()
        padding = (kernel_size - 1) // 2
        for i, (c_in, c_out) in enumerate(pairwise([channels, *widths])):
            stride = 2 if i < len(widths) - 1 else last_stride
            normed = i > 0 and norm != "none"
            self.body.append(nn.Conv2d(c_in, c_out, kernel_size, stride, padding, bias=not normed))
            if normed:
                self.body.append(NORMS[norm](c_out))
            self.body.append(nn.LeakyReLU(SLOPE))
        self.head = nn.Conv2d(widths[-1], 1, head_size, padding=(head_size - 1) // 2)
        init_he(self, SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        """Score images (N, C, H, W): (N, 1, h, w)."""
        return self.head(self.body(x))


NORMS: dict[Norm, Callable[[int], nn.Module]] = {
    "batch": lambda channels: BatchNorm(channels, running_stats=True),
    "instance": lambda _: InstanceNorm(),
}
