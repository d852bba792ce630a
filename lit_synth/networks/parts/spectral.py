"""Layers with spectral norm as BigGAN's authors compute it (https://github.com/ajbrock)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPS = 1e-6  # of the lengths of singular vectors


class SpectralConv2d(nn.Conv2d):
    """A convolution of odd kernel that keeps the size, with spectral norm: see `spectral_weight`.

    Args:
        in_channels: Channels of its input.
        out_channels: Channels of its output.
        kernel_size: Height and width of the kernel.
        bias: Has it a bias?
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, bias: bool = True
    ) -> None:
        pad = kernel_size // 2
        super().__init__(in_channels, out_channels, kernel_size, padding=pad, bias=bias)
        _start_spectral(self)

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, spectral_weight(self), self.bias)


class SpectralLinear(nn.Linear):
    """A linear layer with spectral norm: see `spectral_weight`.

    Args:
        in_features: Length of its input.
        out_features: Length of its output.
        bias: Has it a bias?
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__(in_features, out_features, bias)
        _start_spectral(self)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, spectral_weight(self), self.bias)


class SpectralEmbedding(nn.Embedding):
    """A table of vectors with spectral norm: see `spectral_weight`.

    Args:
        num_embeddings: Vectors in the table.
        embedding_dim: Length of each.
    """

    def __init__(self, num_embeddings: int, embedding_dim: int) -> None:
        super().__init__(num_embeddings, embedding_dim)
        _start_spectral(self)

    def forward(self, label: Tensor) -> Tensor:
        return F.embedding(label, spectral_weight(self))


def spectral_weight(layer: nn.Conv2d | nn.Linear | nn.Embedding) -> Tensor:
    """Return W / sigma, sigma being the largest singular value after one power iteration.

    The iteration starts from `u`, (1, rows of W), which training mode moves on, along with `sv`,
    the sigma found last. Eval mode iterates once from the stored `u` in every pass and stores
    nothing, as the authors' code does: torch's spectral norm would use `u` as it stands. It is
    in float32 at least.

    Args:
        layer: A layer with the buffers `u` and `sv`.
    """
    weight, u = layer.weight, layer.get_buffer("u")
    with torch.autocast(weight.device.type, enabled=False):
        matrix = weight.flatten(1)
        with torch.no_grad():
            v = F.normalize(u @ matrix, eps=EPS)
            u_next = F.normalize(v @ matrix.T, eps=EPS)
        sigma = (v @ matrix.T @ u_next.T).squeeze()
        if layer.training:
            with torch.no_grad():
                u.copy_(u_next)
                layer.get_buffer("sv").fill_(sigma)
        return weight / sigma


def _start_spectral(layer: nn.Conv2d | nn.Linear | nn.Embedding) -> None:
    layer.register_buffer("u", torch.randn(1, layer.weight.shape[0]))
    layer.register_buffer("sv", torch.ones(1))
