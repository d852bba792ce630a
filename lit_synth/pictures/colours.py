"""Colours for what is no picture: depth, class labels, attention."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lit_synth.contracts.data import Batch, Modality
from lit_synth.metrics.segmentation import IGNORE
from lit_synth.tensors.pixels import as_uint8

DEPTH_COLOURS = "viridis"  # dark is near
LABEL_COLOURS = "tab20"  # of classes without colours of their own
Limits = tuple[float, float]


def depth_limits(x: Batch, modalities: Mapping[str, Modality]) -> Limits | None:
    """Return the nearest and the farthest known depth of scenes in metres; None without depth."""
    names = [name for name, modality in modalities.items() if modality.kind == "depth"]
    depths = [x[name] for name in names if name in x]
    known = torch.cat([depth[depth > 0] for depth in depths]) if depths else torch.empty(0)
    return (float(known.min()), float(known.max())) if len(known) else None


def coloured(x: Tensor, modality: Modality, limits: Limits | None) -> Tensor:
    """Return a modality as pictures (N, 3, H, W), uint8.

    Unknown depth and labels to be ignored are black. An image that is neither grey nor RGB is shown
    as the grey mean of its channels.

    Args:
        x: Data of the modality.
        modality: Modality that it is in.
        limits: Depths that get the ends of the colour scale; None: those of `x` itself.
    """
    x = x.cpu()
    if modality.kind == "image":
        return as_uint8(x if x.shape[1] == 3 else x.mean(1, keepdim=True)).expand(-1, 3, -1, -1)
    if modality.kind == "labels":
        colours = torch.zeros(IGNORE + 1, 3, dtype=torch.uint8)
        colours[: modality.channels] = _palette(modality)
        return colours[x].permute(0, 3, 1, 2)
    nearest, farthest = limits or (float(x.min()), float(x.max()))
    share = (x[:, 0] - nearest) / max(farthest - nearest, 1e-6)
    colours = torch.from_numpy(_scale(DEPTH_COLOURS)(share.numpy(), bytes=True)[..., :3])
    return (colours * (x[:, 0, :, :, None] > 0)).permute(0, 3, 1, 2)


def label_colours(x: Tensor) -> Tensor:
    """Return labels (N, H, W) that have no colours of their own as pictures (N, 3, H, W), uint8."""
    scale = _scale(LABEL_COLOURS)
    colours = scale(x.cpu().numpy() % scale.N, bytes=True)[..., :3]
    return torch.from_numpy(colours.copy()).permute(0, 3, 1, 2)


def _scale(name: str) -> Any:
    import matplotlib as mpl  # a slow import

    return mpl.colormaps[name]


def _palette(modality: Modality) -> Tensor:
    if modality.palette:
        return torch.tensor(modality.palette, dtype=torch.uint8)
    classes = np.arange(modality.channels)
    scale = _scale(LABEL_COLOURS)
    return torch.from_numpy(scale(classes % scale.N, bytes=True)[:, :3].copy())


HEAT_COLOURS = "autumn"  # red to yellow
HEAT = 0.75  # opacity where everything may change


def heated(pictures: Tensor, share: Tensor) -> Tensor:
    """Return pictures in grey, with colours of heat where they may change.

    Args:
        pictures: (N, 3, H, W), uint8.
        share: (N, 1, h, w) in [0, 1]: red is little, yellow much.

    Returns:
        (N, 3, H, W), uint8.
    """
    grey = pictures.float().mean(1, keepdim=True)
    share = F.interpolate(share.cpu().float(), size=pictures.shape[-2:], mode="nearest")
    colours = torch.from_numpy(_scale(HEAT_COLOURS)(share[:, 0].numpy(), bytes=True))
    heat = colours[..., :3].permute(0, 3, 1, 2).float()
    return torch.lerp(grey.expand_as(heat), heat, HEAT * share).round().to(torch.uint8)
