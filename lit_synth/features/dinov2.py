"""DINOv2 (Oquab et al. 2023, arXiv:2304.07193), whose distances agree with people best."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_synth.errors import InputError
from lit_synth.features.base import Extractor, Features
from lit_synth.features.vision_transformer import file_hash, seen, transformer, weights_of

SIZE = 224
PATCH = 14
OFFSET = 0.1  # the authors', against a grid that rounding makes too small
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
EXPECTED = "the authors' dinov2_vit*14_pretrain.pth, or timm's file of the same network"


class DINOv2Features(Extractor):
    """The normalised class token (N, D) at 224x224, as Stein et al. compare generators by it.

    They (arXiv:2306.04675) take ViT-L/14, and found its Frechet distances and precision to rank
    generators as people do, where Inception's did not.

    Args:
        weights_path: A state dict without registers. The file is never downloaded.

    Raises:
        InputError: If the weights are not there or do not fit, or timm is not installed.
    """

    at_once_on_cpu = 16
    resize = f"grey repeated to RGB; bicubic, antialiased, to {SIZE}x{SIZE}"

    def __init__(self, weights_path: str | Path) -> None:
        super().__init__()
        path = Path(weights_path)
        state = weights_of(path, "DINOv2", EXPECTED)
        if "register_tokens" in state or "reg_token" in state:
            raise InputError(
                f"'{path}' is a DINOv2 with registers, whose distances nobody has published: "
                f"expected {EXPECTED}."
            )
        if "pos_embed" in state:
            state["pos_embed"] = resampled(state["pos_embed"], SIZE // PATCH)
        state.pop("mask_token", None)  # only their training has masks
        self.network = transformer(
            state, path, img_size=SIZE, num_classes=0, init_values=1.0, mlp_ratio=4
        )
        self.name = f"dinov2-vit-{self.network.embed_dim}"
        self.sha256 = file_hash(path)
        self.freeze()

    def forward(self, images: Tensor) -> Features:
        return Features(self.network(seen(images, SIZE, MEAN, STD)))


def resampled(positions: Tensor, side: int) -> Tensor:
    """Return position codes (1, 1 + side², D) of a square grid of another size, as DINOv2 does.

    Args:
        positions: (1, 1 + n², D), the first of the class token.
        side: Height and width of the new grid.
    """
    token, grid = positions[:, :1].float(), positions[:, 1:].float()
    old = round(grid.shape[1] ** 0.5)
    if old == side:
        return positions
    grid = grid.reshape(1, old, old, -1).permute(0, 3, 1, 2)
    scale = (side + OFFSET) / old
    grid = F.interpolate(grid, scale_factor=(scale, scale), mode="bicubic")
    return torch.cat([token, grid.flatten(2).transpose(1, 2)], dim=1)
