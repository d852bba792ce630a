"""Norms whose statistics and gradients are in float32 at least, whatever the input's type."""

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from lit_synth.errors import InputError

EPS = 1e-5


class BatchStatistics(nn.Module):
    """(x - mean) / sqrt(var + 1e-5), with statistics over batch and pixels, for norms to build on.

    In training mode statistics are pooled over all processes, so that several processes equal one
    with the same global batch. Eval mode never communicates. Statistics are in float32 at least.
    Images sampled with batch statistics depend on their batch: sample in batches of one size.

    Args:
        channels: Channels C of the input.
        running_stats: Keep running statistics and use them in eval mode? Otherwise eval mode uses
            those of its batch too, as the WGAN-GP and TransferGAN code do.
        momentum: Weight of the newest batch in the running statistics.
    """

    def __init__(self, channels: int, running_stats: bool, momentum: float = 0.1) -> None:
        super().__init__()
        self.momentum = momentum
        self.running_mean: Tensor | None
        self.running_var: Tensor | None
        self.register_buffer("running_mean", torch.zeros(channels) if running_stats else None)
        self.register_buffer("running_var", torch.ones(channels) if running_stats else None)

    def normalise(
        self, x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None
    ) -> Tensor:
        """Return normalised features, by `weight` and `bias` (C,) mapped on if they are given.

        The result has the input's type, with neither of the two float32 at least.
        """
        if weight is None:
            # Without weights torch takes a bfloat16 input's statistics in bfloat16.
            x = x.to(torch.promote_types(x.dtype, torch.float32))
        if self.training and dist.is_initialized() and dist.get_world_size() > 1:
            mean, var = global_moments(x)
            self._track(mean, var, count=x.numel() // x.size(1) * dist.get_world_size())
            # Not F.batch_norm: it passes no gradient through given moments.
            gain = torch.rsqrt(var + EPS) if weight is None else weight * torch.rsqrt(var + EPS)
            y = (x - mean[:, None, None]) * gain[:, None, None]
            return (y if bias is None else y + bias[:, None, None]).to(x.dtype)
        use_batch = self.training or self.running_mean is None
        running = self.running_mean, self.running_var
        return F.batch_norm(x, *running, weight, bias, use_batch, self.momentum, EPS)

    @torch.no_grad()
    def _track(self, mean: Tensor, var: Tensor, count: int) -> None:
        if self.running_mean is not None and self.running_var is not None:
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * count / (count - 1), self.momentum)


class BatchNorm(BatchStatistics):
    """gamma_y (x - mean) / sqrt(var + 1e-5) + beta_y, with statistics over batch and pixels.

    Statistics are pooled over all classes. The result is in float32 at least with classes, else it
    has the input's type.

    Args:
        channels: Channels C of the input.
        num_classes: Classes with an affine map each, tables (num_classes, C); 0 for one map (C,).
        running_stats: Keep running statistics and use them in eval mode?
        momentum: Weight of the newest batch in the running statistics.
    """

    def __init__(
        self,
        channels: int,
        num_classes: int = 0,
        running_stats: bool = False,
        momentum: float = 0.1,
    ) -> None:
        super().__init__(channels, running_stats, momentum)
        shape = (num_classes, channels) if num_classes else (channels,)
        self.weight, self.bias = nn.Parameter(torch.ones(shape)), nn.Parameter(torch.zeros(shape))
        self.num_classes = num_classes

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        if not self.num_classes:
            return self.normalise(x, self.weight, self.bias)
        assert label is not None, "generators check their labels"
        weight, bias = F.embedding(label, self.weight), F.embedding(label, self.bias)
        return self.normalise(x) * weight[:, :, None, None] + bias[:, :, None, None]


def global_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Take mean and biased variance per channel over the batches of all processes, differentiably.

    Args:
        x: Features (N, C, H, W), N the same on every process.

    Returns:
        Mean (C,) and variance (C,), float32 or wider, the same on every process.
    """
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    mean = _sum_over_processes(x.mean(dim=(0, 2, 3))) / dist.get_world_size()
    deviation = x - mean[:, None, None]
    total = _sum_over_processes(deviation.square().mean(dim=(0, 2, 3)))
    return mean, total / dist.get_world_size()


class _SumOverProcesses(torch.autograd.Function):
    """All-reduce; its gradient is the sum of all processes' gradients, so another all-reduce."""

    @staticmethod
    def forward(_ctx: FunctionCtx, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_ctx: FunctionCtx, grad: Tensor) -> Tensor:
        return _sum_over_processes(grad.contiguous())


def _sum_over_processes(x: Tensor) -> Tensor:
    total: Tensor = _SumOverProcesses.apply(x)
    return total


class InstanceNorm(nn.Module):
    """(x - mean) / sqrt(var + 1e-5) over the pixels of each image and channel (arXiv:1607.08022).

    Statistics are in float32 at least, the result in the input's type and memory format.
    """

    def forward(self, x: Tensor) -> Tensor:
        ones = x.new_ones(x.shape[:2])
        return adaptive_instance_norm(x, ones, torch.zeros_like(ones))


class AffineInstanceNorm(nn.Module):
    """gamma (x - mean) / sqrt(var + 1e-5) + beta over the pixels of each image and channel.

    Args:
        channels: Channels of its input; gamma and beta have one number for each.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        shape = x.shape[:2]
        return adaptive_instance_norm(x, self.weight.expand(shape), self.bias.expand(shape))


def adaptive_instance_norm(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Return scale (x - mean) / sqrt(var + 1e-5) + shift over the pixels of each image and channel.

    AdaIN (arXiv:1703.06868), or conditional instance norm (arXiv:1610.07629). Statistics and
    gradients are in float32 at least, the result in the input's type and memory format.

    Args:
        x: Features (N, C, H, W).
        scale: For each image and channel (N, C).
        shift: Likewise.
    """
    # Without weights of their own type torch takes a bfloat16 input's statistics in bfloat16.
    wide = torch.promote_types(x.dtype, torch.float32)
    scale, shift = scale.to(wide), shift.to(wide)
    channels_last = x.is_contiguous(memory_format=torch.channels_last)
    if channels_last and x.device.type == "cpu":
        # Image by image: planes and back are 5 times slower at 128 px.
        parts = zip(torch.split(x, 1), scale.unbind(), shift.unbind(), strict=True)
        return torch.cat([_norm_planes(*part) for part in parts])
    planes = x.reshape(1, -1, *x.shape[2:])
    y = _norm_planes(planes, scale.flatten(), shift.flatten()).view_as(x)
    return y.contiguous(memory_format=torch.channels_last) if channels_last else y


def _norm_planes(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Normalise the planes of one image (1, C, H, W), given (C,) and (C,)."""
    return F.batch_norm(x, None, None, scale, shift, training=True, eps=EPS)


class NoNorm(nn.Module):
    """The identity, called like `BatchNorm`.

    Args:
        channels: Accepted so that it is built like a norm.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:  # noqa: ARG002
        return x


def uncoupled(discriminator: nn.Module) -> nn.Module:
    """Return a discriminator that judges real and made images in one batch, itself.

    Batch norm would couple the images: it would tell real from made ones by the statistics of the
    batch, which the generator's step, with made ones alone, does not have. Nor would the slope of
    a critic then be that of an image.

    Raises:
        InputError: If it has a batch norm.
    """
    for name, module in discriminator.named_modules():
        if isinstance(module, BatchStatistics | nn.modules.batchnorm._BatchNorm):
            raise InputError(
                f"{type(discriminator).__name__} has a batch norm, '{name}', but judges real and "
                "made images in one batch: give a discriminator with another norm, or none."
            )
    return discriminator
