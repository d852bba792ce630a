"""Critics that judge an image by what else is in its batch."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class MinibatchDeviation(nn.Module):
    """Appends channels: how far the images of a group differ (PGAN, arXiv:1710.10196, section 3).

    That is the standard deviation over the group, averaged over pixels and over features, or over
    each of several equal parts of the features. A group is so many images in a row, or the whole
    batch where it is not made of such groups: processes whose batches are made of groups then equal
    one. Published code joins images that lie apart (1, 5, 9, ...), pytorch_GAN_zoo's then gives
    their deviation to images 1 to 4; ours differs from it in batches of more than one group.

    Args:
        group: Images in a group; of 1 the deviation is the same for every image.
        channels: How many channels it appends, each for as large a part of the features.
        unbiased: Divide by one image less, as pytorch_GAN_zoo does? An image alone then has 0.
    """

    def __init__(self, group: int = 4, channels: int = 1, unbiased: bool = True) -> None:
        super().__init__()
        self.group, self.channels, self.unbiased = group, channels, unbiased

    def forward(self, x: Tensor) -> Tensor:
        n, _, height, width = x.shape
        group = n if n % self.group else self.group
        if group == 1 and self.unbiased:
            return torch.cat([x, x.new_zeros(n, self.channels, height, width)], dim=1)
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        groups = wide.reshape(-1, group, *x.shape[1:])
        deviation = (groups.var(dim=1, correction=int(self.unbiased)) + 1e-8).sqrt()
        means = deviation.reshape(len(groups), self.channels, -1).mean(dim=2)
        maps = means.to(x.dtype).repeat_interleave(group, dim=0)[:, :, None, None]
        return torch.cat([x, maps.expand(-1, -1, height, width)], dim=1)


def score_apart(critic: nn.Module, *batches: Tensor) -> list[Tensor]:
    """Return a critic's scores of several batches of images, in one pass if it sees images apart.

    A critic with `MinibatchDeviation` sees each batch by itself: what real and made images have in
    common would else tell it nothing about either.

    Args:
        critic: Maps images (N, C, H, W) to scores (N,).
        batches: Images (N_i, C, H, W).
    """
    score: Callable[[Tensor], Tensor] = critic
    if any(isinstance(module, MinibatchDeviation) for module in critic.modules()):
        return [score(batch) for batch in batches]
    return list(torch.split(score(torch.cat(batches)), [len(batch) for batch in batches]))
