"""Layouts in rows and styles in columns: what a rearranger makes of each pair."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_synth.contracts.generator import HasLayouts
from lit_synth.inference.ask import draw, layouts
from lit_synth.method import Method
from lit_synth.pictures.colours import label_colours
from lit_synth.pictures.grid import LIGHT
from lit_synth.pictures.sheet import Column
from lit_synth.tensors.pixels import as_uint8


def layout_columns(method: Method, n: int, n_styles: int, seed: int) -> list[list[Column]]:
    """Rearrange samples: a row for each layout j, a column for each style i.

    Above the results stand the images that give the styles; before them those that give the
    layouts, and their proxy masks.

    Args:
        method: One that has layouts, in the mode and with the weights that it has.
        n: Number of layouts.
        n_styles: Number of styles.
        seed: Seeds the latents.
    """
    assert isinstance(method, HasLayouts), "asked by the caller"
    z = method.prior(n + n_styles, torch.Generator().manual_seed(seed))["z"].to(method.device)
    of_layouts, of_styles = z[:n], z[n:]
    images, masks = layouts(method, of_layouts)
    styles, _ = layouts(method, of_styles)
    painted = F.interpolate(label_colours(masks), size=images.shape[-2:], mode="nearest")
    shown = [
        Column("layout", ("j",), _below_nothing(as_uint8(images.cpu()))),
        Column("proxy mask", ("of j",), _below_nothing(painted)),
    ]
    for k in range(n_styles):
        prior = {"z": of_styles[k].expand(n, -1), "layout": of_layouts}
        made = torch.cat([styles[k : k + 1], draw(method, prior)])
        shown.append(Column(f"style i{k + 1}", ("on top",), as_uint8(made.cpu())))
    return [[column] for column in shown]


def _below_nothing(pictures: Tensor) -> Tensor:
    """Return pictures (N, 3, H, W), uint8, with an empty one in front."""
    return torch.cat([torch.full_like(pictures[:1], LIGHT), pictures])
