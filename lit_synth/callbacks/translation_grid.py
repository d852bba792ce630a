"""Translations side by side: a row for each scene, a named column for each modality made."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from lit_synth.callbacks.drawing import LIGHT, translate
from lit_synth.contracts.data import Batch, Modality, TranslationData, standing
from lit_synth.contracts.translator import Translation, Translator
from lit_synth.metrics.segmentation import IGNORE
from lit_synth.tensors.pixels import as_uint8

GAP_PX = 2
TILE_PX = 96  # smaller pictures are enlarged by a whole factor to about this size
FONT_PX, LINE_PX = 12, 15
MOST_COLUMNS = 18  # beside each other; more go below
DEPTH_COLOURS = "viridis"  # dark is near
LABEL_COLOURS = "tab20"  # of classes without colours of their own
INK = {"seen": (22, 110, 50), "unseen": (190, 70, 10), "input": (40, 40, 40), "truth": (40, 40, 40)}
OTHER_INK = (30, 80, 160)

Limits = tuple[float, float]


class Column(NamedTuple):
    """A column of a sheet.

    Attributes:
        mark: First line of its heading, which decides the colour.
        lines: The others.
        pictures: Of each scene: (N, 3, H, W), uint8.
    """

    mark: str
    lines: tuple[str, ...]
    pictures: Tensor


def columns(
    method: Translator,
    data: TranslationData,
    x: Batch,
    translations: Sequence[Translation],
    truth: bool = True,
) -> list[list[Column]]:
    """Translate scenes, and return what was given, what was made, and what is true.

    Columns that must not be parted form a group.

    Args:
        method: Translates, in the mode and with the weights that it has.
        data: What the modalities are, and which pairs were seen.
        x: Scenes on the method's device; a modality that no translation needs may lack.
        translations: Which to show; those seen come first.
        truth: Do the modalities of `x` show the same scenes? If not, each translation stands beside
            what it was made from.
    """
    limits = depth_limits(x, data.modalities)
    painted = {
        name: coloured(x[name], each, limits) for name, each in data.modalities.items() if name in x
    }
    made = {
        each: Column(
            standing(data, each),
            words(each),
            coloured(translate(method, x, each), data.modalities[each.target], limits),
        )
        for each in translations
    }
    if not truth:
        return [
            [*(Column("input", (s,), painted[s]) for s in each.sources), result]
            for each, result in made.items()
        ]
    given = {source for each in translations for source in each.sources}
    targets = {each.target for each in translations}
    shown = [
        *(Column("input", (name,), each) for name, each in painted.items() if name in given),
        *sorted(made.values(), key=lambda column: column.mark != "seen"),
        *(Column("truth", (name,), each) for name, each in painted.items() if name in targets),
    ]
    return [[column] for column in shown]


def truths(data: TranslationData, x: Batch) -> list[list[Column]]:
    """Return the modalities of scenes alone."""
    limits = depth_limits(x, data.modalities)
    return [
        [Column("truth", (name,), coloured(x[name], each, limits))]
        for name, each in data.modalities.items()
        if name in x
    ]


def preview(
    data: TranslationData,
    x: Batch,
    made: Tensor,
    translation: Translation,
    labels: Sequence[str] = ("",),
    most: int = 8,
) -> Tensor:
    """Return the first scenes that were translated as one picture: given, made and, if known, true.

    Args:
        data: What the modalities are, and which pairs were seen.
        x: The sources and perhaps the target, modality -> data.
        made: What became of them, (N, S, ...): S results of each.
        translation: What was asked for.
        labels: Of the S results.
        most: Scenes to show.
    """
    target = translation.target
    first = {name: x[name][:most] for name in data.modalities if name in x}
    limits, modality = depth_limits(first, data.modalities), data.modalities[target]
    mark, said = standing(data, translation), words(translation)
    shown = {column.lines[0]: column for (column,) in truths(data, first)}
    return sheet(
        [
            *([shown[name]._replace(mark="input")] for name in translation.sources),
            *(
                [Column(mark, (*said, label) if label else said, coloured(each, modality, limits))]
                for label, each in zip(labels, made[:most].unbind(1), strict=True)
            ),
            *([column] for name, column in shown.items() if name == target),
        ]
    )


def words(translation: Translation) -> tuple[str, ...]:
    """Return the lines of a heading that say what is translated."""
    return "+".join(translation.sources), *(f"to {name}" for name in translation.route)


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


def depth_limits(x: Batch, modalities: Mapping[str, Modality]) -> Limits | None:
    """Return the nearest and the farthest known depth of scenes in metres; None without depth."""
    depths = [x[name] for name, each in modalities.items() if each.kind == "depth" and name in x]
    known = torch.cat([depth[depth > 0] for depth in depths]) if depths else torch.empty(0)
    return (float(known.min()), float(known.max())) if len(known) else None


def coloured(x: Tensor, modality: Modality, limits: Limits | None) -> Tensor:
    """Return a modality as pictures (N, 3, H, W), uint8.

    Unknown depth and labels to be ignored are black. An image that is neither grey nor RGB is shown
    as the grey mean of its channels.

    Args:
        x: Data of the modality.
        modality: What it is.
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
    colours = torch.from_numpy(mpl.colormaps[DEPTH_COLOURS](share.numpy(), bytes=True)[..., :3])
    return (colours * (x[:, 0, :, :, None] > 0)).permute(0, 3, 1, 2)


def _palette(modality: Modality) -> Tensor:
    if modality.palette:
        return torch.tensor(modality.palette, dtype=torch.uint8)
    classes = np.arange(modality.channels)
    scale = mpl.colormaps[LABEL_COLOURS]
    return torch.from_numpy(scale(classes % scale.N, bytes=True)[:, :3].copy())


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
