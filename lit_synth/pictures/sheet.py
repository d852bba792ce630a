"""Named columns of pictures side by side."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from lit_synth.pictures.grid import LIGHT

GAP_PX = 2
TILE_PX = 96  # smaller pictures are enlarged by a whole factor to about this size
FONT_PX, LINE_PX = 12, 15
MOST_COLUMNS = 18  # beside each other; more go below
INK = {"seen": (22, 110, 50), "unseen": (190, 70, 10), "input": (40, 40, 40), "truth": (40, 40, 40)}
OTHER_INK = (30, 80, 160)


class Column(NamedTuple):
    """A column of a sheet.

    Attributes:
        mark: First line of its heading, which decides the colour.
        lines: The others.
        pictures: Pictures of the scenes, (N, 3, H, W), uint8.
    """

    mark: str
    lines: tuple[str, ...]
    pictures: Tensor


def sheet(groups: Sequence[Sequence[Column]]) -> Tensor:
    """Return columns with their headings, and light lines between the pictures, as one picture.

    Args:
        groups: Columns that stay beside each other; what does not fit into a row of
            `MOST_COLUMNS` goes below.

    Returns:
        Pixels (3, H, W), uint8.
    """
    total = sum(len(group) for group in groups)
    width = -(-total // -(-total // MOST_COLUMNS))  # as many in each row, where groups allow it
    rows: list[list[Column]] = [[]]
    for group in groups:
        full = len(rows[-1]) >= width or len(rows[-1]) + len(group) > MOST_COLUMNS
        if rows[-1] and full:
            rows.append([])
        rows[-1].extend(group)
    bands = [_band(row) for row in rows]
    widest = max(band.shape[-1] for band in bands)
    return torch.cat(
        [F.pad(band, (0, widest - band.shape[-1]), value=LIGHT) for band in bands], dim=1
    )


def _band(shown: Sequence[Column]) -> Tensor:
    heights = [len(column.lines) + 1 for column in shown]
    return torch.cat([_column(column, max(heights) * LINE_PX) for column in shown], dim=2)


def _column(column: Column, heading_px: int) -> Tensor:
    side = column.pictures.shape[-1]
    tiles = F.interpolate(column.pictures, scale_factor=max(1, TILE_PX // side), mode="nearest")
    framed = F.pad(tiles, (GAP_PX, GAP_PX, 0, 2 * GAP_PX), value=LIGHT)
    heading = _heading(column, framed.shape[-1], heading_px + GAP_PX)
    return torch.cat([heading, *framed], dim=1)


def _heading(column: Column, width: int, height: int) -> Tensor:
    image = Image.new("RGB", (width, height), (LIGHT, LIGHT, LIGHT))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(FONT_PX)
    for number, line in enumerate((column.mark, *column.lines)):
        while draw.textlength(line, font) > width - 2 * GAP_PX:
            line = line[:-1]
        ink = INK.get(column.mark, OTHER_INK) if number == 0 else INK["input"]
        draw.text((GAP_PX, number * LINE_PX), line, ink, font)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)
