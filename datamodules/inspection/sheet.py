"""A sheet of examples: a few pictures of each part of a folder, and of what is odd in it."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from datamodules.files.archives import ARRAY_SUFFIXES, Source, suffix_of
from datamodules.files.decoding import open_image
from datamodules.files.modalities import rainbow
from datamodules.inspection.looks import MOST_IDS, Look, as_rgb
from datamodules.inspection.report import Report
from datamodules.items.modalities import IGNORE

_SIDE, _COLUMNS, _ROWS, _GAP, _LINE = 96, 8, 12, 4, 14  # pixels, but for columns and rows


def draw_sheet(report: Report, path: Path) -> None:
    """Write a PNG with a row of up to eight evenly spaced examples of each part.

    Pairs of copies follow. Label ids have colours of their own, depth grows brighter.
    """
    rows = [(part.name or "images", _some(part.looks)) for part in report.reading.parts]
    labels = {
        name for name, spec in report.reading.modalities.items() if spec.get("kind") == "labels"
    }
    maps = {e.name for p in report.reading.parts if p.modality in labels for e in p.looks}
    looks = {each.name: each for each in report.folder.looks}
    for title, groups in (("copies", report.exact), ("near copies", report.near)):
        if groups:
            pairs = [looks[name] for group in groups[: _COLUMNS // 2] for name in group[:2]]
            rows.append((title, pairs))
    rows = rows[:_ROWS]
    width = _GAP + _COLUMNS * (_SIDE + _GAP)
    sheet = Image.new("RGB", (width, _GAP + len(rows) * (_SIDE + _LINE + _GAP)), "white")
    pen = ImageDraw.Draw(sheet)
    for row, (title, examples) in enumerate(rows):
        top = _GAP + row * (_SIDE + _LINE + _GAP)
        pen.text((_GAP, top), title, fill="black")
        for column, each in enumerate(examples):
            tile = _tile(report.folder.source, each, each.name in maps)
            sheet.paste(tile, (_GAP + column * (_SIDE + _GAP), top + _LINE))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def _some(looks: Sequence[Look]) -> list[Look]:
    usable = [each for each in looks if each.problem is None]
    step = max(1, len(usable) // _COLUMNS)
    return usable[::step][:_COLUMNS]


def _tile(source: Source, look: Look, labels: bool) -> Image.Image:
    """Return a picture as a small square, as it is to be seen."""
    data = source.read(look.name)
    if look.pixels in ("16-bit grey", "float"):
        image = Image.fromarray(_brightened(data, suffix_of(look.name)))
    else:
        image = open_image(data)
        if labels and look.ids is not None:
            image = _coloured(np.asarray(image))
    return ImageOps.pad(as_rgb(image), (_SIDE, _SIDE), color="white")


def _brightened(data: bytes, suffix: str) -> np.ndarray:
    """Return depth, or grey of 16 bits, as uint8 over its own range."""
    if suffix in ARRAY_SUFFIXES:
        stored = np.load(io.BytesIO(data), allow_pickle=False)
        values = stored if isinstance(stored, np.ndarray) else stored[stored.files[0]]
    else:
        values = np.asarray(Image.open(io.BytesIO(data)))
    values = np.nan_to_num(np.squeeze(values).astype(np.float64))
    return (values * (255 / max(values.max(), 1e-9))).clip(0, 255).astype(np.uint8)


def _coloured(labels: np.ndarray) -> Image.Image:
    """Return label ids in colours, and black where they are to be ignored."""
    colours = [*rainbow(MOST_IDS), *[(0, 0, 0)] * (256 - MOST_IDS)]
    spread = np.array([colours[(7 * i) % MOST_IDS if i < IGNORE else i] for i in range(256)])
    return Image.fromarray(spread[labels.astype(np.int64) % 256].astype(np.uint8))
