"""A history of generated images that discriminators see (Shrivastava 2017, arXiv:1612.07828)."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from lit_synth.tensors.processes import gathered


class ImagePool(nn.Module):
    """Show a discriminator, in place of half the generated images, ones from the past.

    Until it is full it stores and shows every image. Then it shows an image, or, as often, one that
    it stored, which the image replaces (CycleGAN, arXiv:1703.10593, section 4).

    Its content is in the state of its method, so that a resumed run goes on exactly. All processes
    hold the same: each offers its part of the global batch, in the order of their ranks, and gets
    the corresponding part back.

    Args:
        size: Images that it stores; 0 to show every image as it is.
    """

    def __init__(self, size: int = 50) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("images", torch.zeros(0))  # (size, C, H, W) from the first image on
        self.register_buffer("count", torch.zeros((), dtype=torch.long))
        self.images: Tensor
        self.count: Tensor

    @torch.no_grad()
    def forward(self, images: Tensor, draws: Tensor) -> Tensor:
        """Return as many images to show (N, C, H, W), without a graph.

        Args:
            images: New images (N, C, H, W).
            draws: Uniform on [0, 1), (N, 2): whether to swap an image, and with which.
        """
        if not self.size:
            return images.detach()
        n, rank = len(images), dist.get_rank() if dist.is_initialized() else 0
        images, draws = gathered(images.to(self.images.dtype)), gathered(draws)
        if not len(self.images):
            self.images = images.new_zeros(self.size, *images.shape[1:])
        shown = [self._offer(*each) for each in zip(images[:, None], draws, strict=True)]
        return torch.cat(shown[rank * n : (rank + 1) * n])

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        stored = state_dict.get(f"{prefix}images")
        if stored is not None:  # of a pool that was shown images, or of one that was not
            self.images = self.images.new_zeros(stored.shape)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _offer(self, image: Tensor, draw: Tensor) -> Tensor:
        """Return the image to show for one (1, C, H, W); no value leaves the device."""
        full = self.count >= self.size
        slot = torch.where(full, (draw[1] * self.size).long(), self.count).view(1)
        swap = full & (draw[0] < 0.5)
        old = self.images.index_select(0, slot)
        self.images.index_copy_(0, slot, torch.where(full & ~swap, old, image))
        self.count += ~full
        return torch.where(swap, old, image)
