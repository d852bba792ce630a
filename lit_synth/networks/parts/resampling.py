"""StyleGAN2's low-pass filter, for features and images that change their size."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TAPS = (1.0, 3.0, 3.0, 1.0)


class LowPass(nn.Module):
    """Convolves each channel by the outer product of (1, 3, 3, 1) / 8 with itself.

    As StyleGAN2 does wherever a size changes (arXiv:1912.04958, appendix B); outside the image
    are zeros. It computes in the type of its input, also under autocast, and has no weights: its
    taps are no part of a state dict.
    """

    taps: Tensor

    def __init__(self) -> None:
        super().__init__()
        row = torch.tensor(TAPS) / sum(TAPS)
        self.register_buffer("taps", torch.outer(row, row)[None, None], persistent=False)

    def blur(self, x: Tensor, padding: int, gain: float = 1.0) -> Tensor:
        """Filter features (N, C, H, W): H + 2 padding - 3 rows and so many columns, times gain."""
        with torch.autocast(x.device.type, enabled=False):
            return F.conv2d(x, self._kernel(x, gain), padding=padding, groups=x.size(1))

    def reduce(self, x: Tensor) -> Tensor:
        """Filter, and keep every second pixel: (N, C, H, W) -> (N, C, H / 2, W / 2)."""
        with torch.autocast(x.device.type, enabled=False):
            return F.conv2d(x, self._kernel(x), stride=2, padding=1, groups=x.size(1))

    def enlarge(self, x: Tensor) -> Tensor:
        """Put zeros between pixels, and filter: (N, C, H, W) -> (N, C, 2 H, 2 W)."""
        with torch.autocast(x.device.type, enabled=False):
            kernel = self._kernel(x, gain=4.0)
            return F.conv_transpose2d(x, kernel, stride=2, padding=1, groups=x.size(1))

    def _kernel(self, x: Tensor, gain: float = 1.0) -> Tensor:
        return (self.taps * gain).to(x.dtype).expand(x.size(1), 1, -1, -1)
