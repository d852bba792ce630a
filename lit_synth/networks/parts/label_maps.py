"""Label maps as networks read them: by their ids, never as maps of one channel a class."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.errors import InputError


@dataclass(frozen=True)
class LabelMap:
    """Label maps of a batch, and what comes with them.

    Attributes:
        ids: int64 (N, H, W), 0..K - 1; greater is a pixel of no class.
        extra: What each pixel has besides a class, (N, E, H, W); (N, E) is alike for all pixels.
    """

    ids: Tensor
    extra: Tensor | None = None

    def below(self, classes: int) -> "LabelMap":
        """Return the maps with K, the number of classes, for all pixels of no class."""
        return LabelMap(self.ids.clamp(max=classes), self.extra)

    def at(self, height: int, width: int) -> "LabelMap":
        """Return the maps at a size, by the nearest pixel to the top left."""
        if (height, width) == self.ids.shape[-2:]:
            return self
        rows, columns = (
            torch.arange(new, device=self.ids.device) * old // new
            for new, old in zip((height, width), self.ids.shape[-2:], strict=True)
        )
        extra = self.extra
        if extra is not None and extra.ndim == 4:
            extra = extra[..., rows[:, None], columns]
        return LabelMap(self.ids[:, rows[:, None], columns], extra)


class LabelConv2d(nn.Module):
    """A convolution over one-hot labels and further channels, of which labels stay ids.

    At each tap of the kernel, a one-hot pixel picks one column of the weight: outputs are sums of
    columns that are looked up. A pixel of no class, and one beyond the border, adds nothing.

    Args:
        rows: Classes K.
        extra: Further channels E, after those of the classes.
        out_channels: Channels of its output.
        kernel_size: Of the kernel.
        stride: Of the convolution.
        padding: Zeros around the image.
    """

    def __init__(
        self,
        rows: int,
        extra: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        padding: int = 1,
    ) -> None:
        super().__init__()
        shape = (out_channels, rows + extra, kernel_size, kernel_size)
        self.weight, self.bias = (
            nn.Parameter(torch.empty(shape)),
            nn.Parameter(torch.zeros(shape[0])),
        )
        self.rows, self.stride, self.padding = rows, stride, padding
        nn.init.xavier_normal_(self.weight)

    def forward(self, labels: LabelMap) -> Tensor:
        """Return (N, out_channels, h, w)."""
        of_labels, of_extra = self.weight[:, : self.rows], self.weight[:, self.rows :]
        y = label_conv(labels.ids, of_labels, self.bias, self.stride, self.padding)
        if labels.extra is None:
            return y
        if labels.extra.ndim == 4:
            return y + F.conv2d(labels.extra, of_extra, None, self.stride, self.padding)
        return y + _conv3x3_of_constants(labels.extra, of_extra, *labels.ids.shape[-2:])


def label_conv(
    ids: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int = 1, padding: int = 1
) -> Tensor:
    """Return the convolution of one-hot labels with a kernel, by looking its columns up.

    Args:
        ids: int64 (N, H, W), 0..K - 1; K and greater are pixels of no class, which add nothing.
        weight: (O, K, k, k).
        bias: (O,).
        stride: Of the convolution.
        padding: Zeros around the image.

    Returns:
        (N, O, h, w), in the memory format channels_last.
    """
    picked = neighbours(ids.clamp(max=weight.shape[1]), weight.shape, stride, padding)
    y: Tensor = _SumOfColumns.apply(picked, weight)
    return y if bias is None else y + bias[:, None, None]


def neighbours(ids: Tensor, shape: torch.Size, stride: int, padding: int) -> Tensor:
    """Return the ids under each tap of a kernel (O, K, k, k), (N, h, w, k k); K beyond the border.

    Args:
        ids: int64 (N, H, W), 0..K.
        shape: Of the kernel.
        stride: Of the convolution.
        padding: Pixels around the image.
    """
    _, none, k, _ = shape
    padded = F.pad(ids, (padding,) * 4, value=none)
    height, width = ((side - k) // stride + 1 for side in padded.shape[-2:])
    return torch.stack(
        [
            padded[:, y : y + stride * height : stride, x : x + stride * width : stride]
            for y in range(k)
            for x in range(k)
        ],
        dim=-1,
    )


class _SumOfColumns(torch.autograd.Function):
    """Sum over taps t of weight[:, picked_t, t]; its gradient adds pixels up by their ids."""

    @staticmethod
    def forward(ctx: Any, picked: Tensor, weight: Tensor) -> Tensor:
        out, none, taps = len(weight), weight.shape[1], picked.shape[-1]
        # A table of one row a tap and class, and one of zeros a tap for what has no class.
        table = F.pad(weight.flatten(2).permute(2, 1, 0), (0, 0, 0, 1)).flatten(0, 1)
        first = torch.arange(taps, device=picked.device) * (none + 1)
        at = (picked + first).flatten(0, 2)
        ctx.save_for_backward(at)
        ctx.shape = weight.shape
        y = F.embedding_bag(at, table, mode="sum")
        return y.view(*picked.shape[:3], out).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor]:
        (at,), (out, none, k, _) = ctx.saved_tensors, ctx.shape
        rows = grads[0].permute(0, 2, 3, 1).reshape(-1, out)
        table = rows.new_zeros(k * k * (none + 1), out)
        for tap in range(k * k):
            table.index_add_(0, at[:, tap], rows)
        return None, table.view(k, k, none + 1, out)[:, :, :none].permute(3, 2, 0, 1)


def _conv3x3_of_constants(values: Tensor, weight: Tensor, height: int, width: int) -> Tensor:
    """Convolve images (N, E, H, W) whose pixels are all alike, given as (N, E), padding 1.

    Of such an image the first and the last line differ from all others, which are alike.
    """
    small = values[:, :, None, None].expand(-1, -1, min(height, 3), min(width, 3))
    y = F.conv2d(small, weight, padding=1)
    lines = (torch.arange(side, device=values.device) for side in (height, width))
    rows, columns = (
        line if len(line) < 4 else (line > 0).long() + (line == len(line) - 1).long()
        for line in lines
    )
    return y[:, :, rows[:, None], columns]


def edges_of(instances: Tensor) -> Tensor:
    """Return where instances (N, H, W) differ from one of four neighbours, float (N, 1, H, W)."""
    across = instances[:, :, 1:] != instances[:, :, :-1]
    down = instances[:, 1:] != instances[:, :-1]
    edge = F.pad(across, (1, 0)) | F.pad(across, (0, 1))
    edge = edge | F.pad(down, (0, 0, 1, 0)) | F.pad(down, (0, 0, 0, 1))
    return edge[:, None].to(torch.get_default_dtype())


def start_size(ids: Tensor, halvings: int, network: str) -> tuple[int, int]:
    """Return height and width of label maps (N, H, W) after so many halvings.

    Raises:
        InputError: They cannot be halved that often.
    """
    height, width = ids.shape[-2:]
    if height % 2**halvings or width % 2**halvings:
        raise InputError(
            f"a {network} got label maps of {height}x{width} px, and enlarges {halvings} times by "
            f"2: use images of multiples of {2**halvings} px, or fewer entries in multiples."
        )
    return height // 2**halvings, width // 2**halvings
