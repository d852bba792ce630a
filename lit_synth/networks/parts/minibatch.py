"""Critics that judge an image by what else is in its batch."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

GROUP = 4


class MinibatchDeviation(nn.Module):
    """Appends a channel: how far the images of a group differ (PGAN, arXiv:1710.10196, section 3).

    That is the standard deviation over the group (unbiased, as in pytorch_GAN_zoo), averaged over
    features and pixels. A group is four images in a row, or the whole batch where it is not made of
    fours; an image alone has 0. pytorch_GAN_zoo gives the deviation of images 1, 5, 9, ... to
    images 1 to 4: in a batch of more than one group ours differs, in that each has its own.
    """

    def forward(self, x: Tensor) -> Tensor:
        n, _, height, width = x.shape
        group = n if n % GROUP else GROUP
        if group == 1:
            return torch.cat([x, x.new_zeros(n, 1, height, width)], dim=1)
        groups = x.to(torch.promote_types(x.dtype, torch.float32)).unflatten(0, (-1, group))
        deviation = (groups.var(dim=1) + 1e-8).sqrt().mean(dim=(1, 2, 3))
        channel = deviation.to(x.dtype).repeat_interleave(group).view(n, 1, 1, 1)
        return torch.cat([x, channel.expand(n, 1, height, width)], dim=1)


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
    return list(score(torch.cat(batches)).split([len(batch) for batch in batches]))
