"""DeepLab v3+: classes of pixels at several scales (Chen et al. 2018, arXiv:1802.02611)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.networks.parts.codes import init_he
from lit_synth.networks.parts.norms import BatchNorm
from lit_synth.networks.parts.pretrained import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    downloaded,
    first_line,
)
from lit_synth.networks.parts.rebuilding import records_init_args
from lit_synth.tensors.tensor_files import load_tensors

EXPANSION = 4  # of a bottleneck's channels
COUNTED = ".num_batches_tracked"  # that torch's batch norms have besides what ours do
CLASSIFIER = "decoder.last_conv.8"


class DeepLab(nn.Module):
    """A ResNet with dilated last blocks, pooling at four dilations, and a decoder with its edges.

    Follows https://github.com/jfzhang95/pytorch-deeplab-xception with ResNet-101 at an output
    stride of 16, whose names its tensors have. The defaults have 59.34 million parameters with 4
    classes.

    Deviations: a grey image is repeated to 3 channels; first weights are He's; with several
    processes batch norm takes the statistics of all.

    Args:
        out_channels: Channels of the output: classes, or 1 of the refiner.
        blocks: Number of bottlenecks in each of the first three layers.
        multi_grid: Dilations of the fourth layer's bottlenecks, as multiples of 2.
        width: Channels of the stem; the layers have 4, 8, 16 and 32 times as many.
        stem_stride: Pixels to one at the end of the stem: 4 with a strided convolution and a
            max-pool, 2 without the pool, 1 without either, for small images.
        rates: Dilations of the pooling's 3x3 convolutions.
        pooled: Channels of each of the pooling's branches and of the decoder.
        low: Channels of the first layer's features in the decoder.
        dropout: Drop features in training, half before each of the last two and 0.1 before the
            last convolution?
        imagenet_input: Standardise images as ImageNet's, as weights trained on those expect?
        pretrained: Weights to start from, as `load_pretrained` takes them; None for He's. A
            release holds the weights, so that a network rebuilt from one does not ask for them
            again.
    """

    def __init__(
        self,
        out_channels: int,
        blocks: list[int] = [3, 4, 23],  # noqa: B006 - only read - never changed
        multi_grid: list[int] = [1, 2, 4],  # noqa: B006 - only read
        width: int = 64,
        stem_stride: Literal[1, 2, 4] = 4,
        rates: list[int] = [6, 12, 18],  # noqa: B006 - only read
        pooled: int = 256,
        low: int = 48,
        dropout: bool = True,
        imagenet_input: bool = False,
        pretrained: str | None = None,
    ) -> None:
        super().__init__()
        self._build(
            out_channels,
            blocks,
            multi_grid,
            width,
            stem_stride,
            rates,
            pooled,
            low,
            dropout,
            imagenet_input,
        )
        if pretrained is not None:
            load_pretrained(self, pretrained)

    # Recorded instead of `__init__`, so that the record lacks `pretrained`.
    @records_init_args
    def _build(
        self,
        out_channels: int,
        blocks: list[int],
        multi_grid: list[int],
        width: int,
        stem_stride: Literal[1, 2, 4],
        rates: list[int],
        pooled: int,
        low: int,
        dropout: bool,
        imagenet_input: bool,
    ) -> None:
        if len(blocks) != 3 or min(blocks) < 1 or not multi_grid or len(rates) != 3:
            raise InputError(
                f"DeepLab has the blocks {blocks}, the multi_grid {multi_grid} and the rates "
                f"{rates}: expected three numbers of blocks, one dilation or more, three rates."
            )
        self.backbone = _ResNet(blocks, multi_grid, width, stem_stride)
        self.aspp = _Pooling(8 * EXPANSION * width, pooled, rates, dropout)
        self.decoder = _Decoder(EXPANSION * width, low, pooled, out_channels, dropout)
        self.mean: Tensor
        self.std: Tensor
        # Of x = 2 u - 1 for u in [0, 1]. The arguments say them: they are no part of the state.
        mean, std = (IMAGENET_MEAN, IMAGENET_STD) if imagenet_input else (3 * (0.5,), 3 * (0.5,))
        for name, values in (("mean", 2 * torch.tensor(mean) - 1), ("std", 2 * torch.tensor(std))):
            self.register_buffer(name, values[:, None, None], persistent=False)
        init_he(self)

    def forward(self, x: Tensor) -> Tensor:
        h = (x - self.mean) / self.std  # also repeats a grey image
        edges, h = self.backbone(h)
        h = self.decoder(self.aspp(h), edges)
        return _enlarged(h, x)


class _ResNet(nn.Module):
    """Images to the features of the first and of the last layer."""

    def __init__(
        self, blocks: list[int], multi_grid: list[int], width: int, stem_stride: int
    ) -> None:
        super().__init__()
        stride = 1 if stem_stride == 1 else 2
        self.conv1 = nn.Conv2d(3, width, 7, stride, padding=3, bias=False)
        self.bn1 = BatchNorm(width, running_stats=True)
        self.pool = nn.MaxPool2d(3, 2, padding=1) if stem_stride == 4 else nn.Identity()
        inner = [width * 2**level for level in range(4)]
        ends = [width, *(EXPANSION * c for c in inner)]
        self.layer1 = _layer(ends[0], inner[0], 1, [1] * blocks[0])
        self.layer2 = _layer(ends[1], inner[1], 2, [1] * blocks[1])
        self.layer3 = _layer(ends[2], inner[2], 2, [1] * blocks[2])
        self.layer4 = _layer(ends[3], inner[3], 1, [2 * grid for grid in multi_grid])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.pool(self.bn1(self.conv1(x)).relu())
        edges = self.layer1(h)
        return edges, self.layer4(self.layer3(self.layer2(edges)))


def _layer(c_in: int, inner: int, stride: int, dilations: list[int]) -> nn.Sequential:
    """Build bottlenecks, of which the first one halves the image by `stride`."""
    layer = nn.Sequential(_Bottleneck(c_in, inner, stride, dilations[0]))
    layer.extend(_Bottleneck(EXPANSION * inner, inner, 1, each) for each in dilations[1:])
    return layer


class _Bottleneck(nn.Module):
    """x + (1x1, 3x3, 1x1 convolutions) of x, each with batch norm (arXiv:1512.03385)."""

    def __init__(self, c_in: int, inner: int, stride: int, dilation: int) -> None:
        super().__init__()
        c_out = EXPANSION * inner
        self.conv1 = nn.Conv2d(c_in, inner, 1, bias=False)
        self.bn1 = BatchNorm(inner, running_stats=True)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, dilation, dilation, bias=False)
        self.bn2 = BatchNorm(inner, running_stats=True)
        self.conv3 = nn.Conv2d(inner, c_out, 1, bias=False)
        self.bn3 = BatchNorm(c_out, running_stats=True)
        self.downsample = nn.Sequential()
        if stride != 1 or c_in != c_out:
            self.downsample.append(nn.Conv2d(c_in, c_out, 1, stride, bias=False))
            self.downsample.append(BatchNorm(c_out, running_stats=True))

    def forward(self, x: Tensor) -> Tensor:
        h = self.bn1(self.conv1(x)).relu()
        h = self.bn2(self.conv2(h)).relu()
        return (self.bn3(self.conv3(h)) + self.downsample(x)).relu()


class _Branch(nn.Module):
    """A convolution of the pooling with batch norm and ReLU."""

    def __init__(self, c_in: int, c_out: int, rate: int) -> None:
        super().__init__()
        kernel, padding = (1, 0) if rate == 1 else (3, rate)
        self.atrous_conv = nn.Conv2d(
            c_in, c_out, kernel, padding=padding, dilation=rate, bias=False
        )
        self.bn = BatchNorm(c_out, running_stats=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.atrous_conv(x)).relu()


class _Pooling(nn.Module):
    """Atrous spatial pyramid pooling: a 1x1, three dilated 3x3, and the mean of the image."""

    def __init__(self, c_in: int, c_out: int, rates: list[int], dropout: bool) -> None:
        super().__init__()
        self.aspp1 = _Branch(c_in, c_out, 1)
        self.aspp2, self.aspp3, self.aspp4 = (_Branch(c_in, c_out, rate) for rate in rates)
        self.global_avg_pool = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(c_in, c_out, 1, bias=False),
            BatchNorm(c_out, running_stats=True),
            nn.ReLU(),
        )
        self.conv1 = nn.Conv2d(5 * c_out, c_out, 1, bias=False)
        self.bn1 = BatchNorm(c_out, running_stats=True)
        self.dropout = nn.Dropout(0.5) if dropout else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        if self.training and len(x) == 1:
            raise InputError("DeepLab is trained on a batch of one image: give at least two.")
        branches = [self.aspp1(x), self.aspp2(x), self.aspp3(x), self.aspp4(x)]
        mean = self.global_avg_pool(x).expand_as(branches[0])
        h = torch.cat([*branches, mean], dim=1)
        return self.dropout(self.bn1(self.conv1(h)).relu())


class _Decoder(nn.Module):
    """Pooled features and those of the first layer to the output, at the latter's size."""

    def __init__(self, edges: int, low: int, pooled: int, out_channels: int, dropout: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(edges, low, 1, bias=False)
        self.bn1 = BatchNorm(low, running_stats=True)
        self.last_conv = nn.Sequential(
            nn.Conv2d(pooled + low, pooled, 3, padding=1, bias=False),
            BatchNorm(pooled, running_stats=True),
            nn.ReLU(),
            nn.Dropout(0.5) if dropout else nn.Identity(),
            nn.Conv2d(pooled, pooled, 3, padding=1, bias=False),
            BatchNorm(pooled, running_stats=True),
            nn.ReLU(),
            nn.Dropout(0.1) if dropout else nn.Identity(),
            nn.Conv2d(pooled, out_channels, 1),
        )

    def forward(self, h: Tensor, edges: Tensor) -> Tensor:
        edges = self.bn1(self.conv1(edges)).relu()
        return self.last_conv(torch.cat([_enlarged(h, edges), edges], dim=1))


def _enlarged(h: Tensor, like: Tensor) -> Tensor:
    """Interpolate features to the size of others, corners on corners."""
    return F.interpolate(h, like.shape[2:], mode="bilinear", align_corners=True)


def load_pretrained(network: DeepLab, source: str) -> None:
    """Start from public weights.

    Args:
        network: Changed in place. Another number of output channels keeps the last layer's first
            weights.
        source: `imagenet` for torchvision's ResNet-101, downloaded on first use (171 MB); the path
            of its state dict, for the backbone alone; or the path of a DeepLab of
            jfzhang95/pytorch-deeplab-xception, its `checkpoint.pth.tar` or the state dict in it.

    Raises:
        InputError: The weights cannot be had or do not fit.
    """
    if source == "imagenet":
        from torchvision.models import ResNet101_Weights

        state = downloaded("resnet101", ResNet101_Weights.IMAGENET1K_V1, "pretrained")
    else:
        state = _read(Path(source))
    state = {name: x for name, x in state.items() if not name.endswith(COUNTED)}
    whole = f"{CLASSIFIER}.bias" in state
    target: nn.Module = network if whole else network.backbone
    own = target.state_dict()
    if whole and state[f"{CLASSIFIER}.bias"].shape != own[f"{CLASSIFIER}.bias"].shape:
        state |= {name: x for name, x in own.items() if name.startswith(CLASSIFIER)}
    state = {name: x for name, x in state.items() if not name.startswith("fc.")}
    try:
        target.load_state_dict(state)
    except RuntimeError as error:
        found = str(error).splitlines()[1].strip().rstrip(".")
        raise InputError(
            f"pretrained '{source}' does not fit this DeepLab ({found}): give a state dict of "
            "torchvision's ResNet-101, or a checkpoint of jfzhang95's DeepLab with ResNet, and "
            "the network the blocks and widths that it has."
        ) from error


def to_public(network: DeepLab) -> dict[str, Tensor]:
    """Return the weights in the layout of jfzhang95/pytorch-deeplab-xception."""
    state: dict[str, Tensor] = {}
    for name, module in network.named_modules():
        own = {f"{name}.{n}": x for n, x in module.named_parameters(recurse=False)}
        own |= {f"{name}.{n}": x for n, x in module.named_buffers(recurse=False) if name}
        state |= {n: x.detach() for n, x in own.items()}
        if isinstance(module, BatchNorm):
            state[f"{name}{COUNTED}"] = torch.zeros((), dtype=torch.int64)
    return state


def _read(path: Path) -> dict[str, Tensor]:
    """Return the state dict in a file, or in the checkpoint that it holds."""
    # The checkpoints hold their best score as a number of NumPy's.
    numbers: list[Any] = [np.dtype, type(np.dtype(np.float64)), np.float64(0).__reduce__()[0]]
    try:
        with torch.serialization.safe_globals(numbers):
            held = load_tensors(path)
    except Exception as error:  # a file that is no state dict can fail in any way
        raise InputError(
            f"pretrained '{path}' cannot be read ({first_line(error)}): give a state dict of "
            "torchvision's ResNet-101, or a checkpoint of jfzhang95's DeepLab."
        ) from error
    state = held.get("state_dict", held) if isinstance(held, Mapping) else held
    if not isinstance(state, Mapping) or not all(isinstance(x, Tensor) for x in state.values()):
        raise InputError(
            f"pretrained '{path}' is no state dict: give one of torchvision's ResNet-101, or a "
            "checkpoint of jfzhang95's DeepLab."
        )
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}
