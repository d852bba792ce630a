"""Named columns of pictures side by side."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from lit_synth.pictures.grid import LIGHT

Ink = tuple[int, int, int]

GAP_PX = 2
APART_PX = 8  # before a column of another mark
TILE_PX = 96  # smaller pictures are enlarged by a whole factor to this size or more
FONT_PX, LINE_PX = 12, 15
MOST_COLUMNS = 18  # beside each other; more go below
INK: dict[str, Ink] = {
    "seen": (22, 110, 50),
    "unseen": (190, 70, 10),
    "input": (40, 40, 40),
    "truth": (40, 40, 40),
}
OTHER_INK = (30, 80, 160)
SAID = {
    "seen": "trained on such pairs",
    "partly seen": "trained on some such pairs",
    "unseen": "never trained on such a pair",
    "cascade": "in two steps",
}


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


def tile_factor(side: int) -> int:
    """Return the whole factor that enlarges pictures of this side to `TILE_PX` or more."""
    return max(1, -(-TILE_PX // side))


def _band(shown: Sequence[Column]) -> Tensor:
    headings = [heading_lines(column) for column in shown]
    height = max(len(lines) for lines in headings) * LINE_PX
    columns = [_column(*each, height) for each in zip(shown, headings, strict=True)]
    apart = [0, *(APART_PX * (left.mark != right.mark) for left, right in pairwise(shown))]
    padded = [F.pad(x, (gap, 0), value=LIGHT) for x, gap in zip(columns, apart, strict=True)]
    return torch.cat(padded, dim=2)


def _column(column: Column, lines: list[tuple[str, Ink]], heading_px: int) -> Tensor:
    tiles = F.interpolate(column.pictures, scale_factor=_factor(column), mode="nearest")
    framed = F.pad(tiles, (GAP_PX, GAP_PX, 0, 2 * GAP_PX), value=LIGHT)
    return torch.cat([_heading(lines, framed.shape[-1], heading_px + GAP_PX), *framed], dim=1)


def _factor(column: Column) -> int:
    return tile_factor(column.pictures.shape[-1])


def heading_lines(column: Column) -> list[tuple[str, Ink]]:
    """Return the lines of a heading, none wider than the column, with their colours."""
    width = _factor(column) * column.pictures.shape[-1]
    mark = SAID.get(column.mark, column.mark)
    inks = [INK.get(column.mark, OTHER_INK)] + [INK["input"]] * len(column.lines)
    lines = zip((mark, *column.lines), inks, strict=True)
    return [(part, ink) for line, ink in lines for part in _parts(line, width)]


def _parts(line: str, width: int) -> list[str]:
    """Break a line between its words, and within those that are wider than it may be."""
    font = ImageFont.load_default(FONT_PX)
    parts = [""]
    for word in line.split():
        longer = f"{parts[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            parts[-1] = longer
            continue
        parts.append("")
        for letter in word:
            if font.getlength(parts[-1] + letter) > width:
                parts.append("")
            parts[-1] += letter
    return [part for part in parts if part] or [""]


def _heading(lines: list[tuple[str, Ink]], width: int, height: int) -> Tensor:
    image = Image.new("RGB", (width, height), (LIGHT, LIGHT, LIGHT))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(FONT_PX)
    for number, (line, ink) in enumerate(lines):
        draw.text((GAP_PX, number * LINE_PX), line, ink, font)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)
