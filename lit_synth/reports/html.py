"""Pieces of a self-contained web page: curves, pictures, tables. Nothing in it is fetched."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from math import isfinite

Points = Sequence[tuple[int, float]]

COLOURS = ("#2f6fb0", "#d1622b", "#3b8f4a", "#8a5bb5", "#b8952a", "#3a9aa5", "#c2497f", "#6b7280")
MOST_POINTS = 400  # of a curve; more would not show
WIDTH, HEIGHT = 300, 90
SENTENCE = 40  # characters; a longer cell is prose

STYLE = """
:root { color-scheme: light dark; font: 16px/1.45 system-ui, sans-serif; }
body { max-width: 75rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.35rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p, figcaption, small, td, th { overflow-wrap: anywhere; }
.cells { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); }
figure { margin: 0; } figcaption { font-size: .9rem; }
svg { width: 100%; height: 6rem; border-bottom: 1px solid #8888; display: block; }
.ends { display: flex; justify-content: space-between; font-size: .75rem; opacity: .7; }
img { width: 100%; image-rendering: pixelated; display: block; }
.side { display: flex; flex-wrap: wrap; gap: 1rem; } .side > figure { max-width: 100%; }
.side > figure.small { flex: 1 1 15rem; max-width: 30rem; }
.wide { overflow-x: auto; margin-bottom: .5rem; } .wide img { width: auto; max-width: none; }
.wide :is(td, th) { overflow-wrap: normal; }
table { border-collapse: collapse; }
td, th { text-align: left; vertical-align: top; padding: .15rem .8rem .15rem 0; }
th, td:not(:first-child):not(.words) { white-space: nowrap; }
td:first-child { min-width: 5rem; } td.words { min-width: 10rem; }
details { margin-bottom: .5rem; }
tr:nth-child(even) td { background: #8881; }
dl { font-size: .9rem; margin: .5rem 0; } dt { font-weight: 600; float: left; clear: left; }
dt::after { content: ":\\00a0"; } dd { margin: 0 0 .15rem; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
small { display: block; opacity: .75; margin-bottom: 1rem; }
pre { overflow-x: auto; font-size: .8rem; }
"""


def page(title: str, sections: Mapping[str, str]) -> str:
    """Return a whole page of sections, heading -> HTML; empty ones are left out."""
    parts = [f"<h2>{escape(head)}</h2>{body}" for head, body in sections.items() if body]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><h1>{escape(title)}</h1>{''.join(parts)}</body></html>\n"
    )


def cells(figures: Sequence[str]) -> str:
    """Lay figures out in as many columns as the screen has room for."""
    return f'<div class="cells">{"".join(figures)}</div>' if figures else ""


def side_by_side(figures: Sequence[str]) -> str:
    """Lay figures out beside one another, in their own widths, as long as the screen has room."""
    return f'<div class="side">{"".join(figures)}</div>' if figures else ""


def picture(png: bytes, caption: str, wide: bool = False) -> str:
    """Return a picture that is part of the page.

    Args:
        png: The picture.
        caption: What it is.
        wide: Show it in its own size, in a box that scrolls where it is wider than the screen?
    """
    data = base64.b64encode(png).decode()
    image = f'<img alt="{escape(caption)}" src="data:image/png;base64,{data}">'
    shown = f'<figure><div class="wide">{image}</div>' if wide else f'<figure class="small">{image}'
    return f"{shown}<figcaption>{escape(caption)}</figcaption></figure>"


def table(head: Sequence[str], rows: Sequence[Sequence[str | float]]) -> str:
    """Return a table in a box that scrolls sideways; numbers are shown with four digits."""
    lines = ["".join(f"<th>{escape(name)}</th>" for name in head)]
    lines += ["".join(map(_cell, row)) for row in rows]
    rows_of_cells = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="wide"><table>{rows_of_cells}</table></div>'


def definitions(words: Mapping[str, str]) -> str:
    """Return a legend: words, and what each of them means."""
    lines = [f"<dt>{escape(word)}</dt><dd>{escape(text)}</dd>" for word, text in words.items()]
    return f"<dl>{''.join(lines)}</dl>" if lines else ""


def folded(title: str, text: str) -> str:
    """Return text that is shown on a click."""
    return f"<details><summary>{escape(title)}</summary><pre>{escape(text)}</pre></details>"


def chart(title: str, curves: Mapping[str, Points], marks: Sequence[int] = ()) -> str:
    """Return curves over iterations in one frame, with their last values in words.

    Args:
        title: What is shown.
        curves: Name -> (iteration, value) pairs; values that are not finite are left out.
        marks: Iterations at which to draw a thin line.
    """
    shown = {name: _thinned(points) for name, points in curves.items()}
    everything = [point for points in shown.values() for point in points]
    if not everything:
        return ""
    (x_min, x_max), (y_min, y_max) = (_ends([p[axis] for p in everything]) for axis in (0, 1))

    def x(iteration: float) -> float:
        return WIDTH * (iteration - x_min) / ((x_max - x_min) or 1)

    def y(value: float) -> float:
        return HEIGHT * (1 - (value - y_min) / ((y_max - y_min) or 1))

    lines = [_line([(x(m), 0), (x(m), HEIGHT)], "#8888", 1) for m in marks if x_min < m < x_max]
    lines += [
        _line([(x(i), y(value)) for i, value in points], colour, 1.5)
        for points, colour in zip(shown.values(), _colours(len(shown)), strict=True)
    ]
    return (
        f"<figure><figcaption>{escape(title)} {_legend(shown)}</figcaption>"
        f'<div class="ends"><span>{y_max:.4g}</span></div>'
        f'<svg viewBox="-2 -2 {WIDTH + 4} {HEIGHT + 4}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(title)}">{"".join(lines)}</svg>'
        f'<div class="ends"><span>{y_min:.4g} at the bottom, iterations {x_min:.0f} to '
        f"{x_max:.0f}</span></div></figure>"
    )


def bars(title: str, values: Mapping[str, float]) -> str:
    """Return a bar from 0 for each value, none of them negative, with its name and number below."""
    step, highest = WIDTH / max(len(values), 1), max(values.values(), default=0) or 1
    drawn = [
        f'<rect x="{step * (k + 0.15):.1f}" y="{HEIGHT * (1 - value / highest):.1f}" '
        f'width="{step * 0.7:.1f}" height="{HEIGHT * value / highest:.1f}" fill="{COLOURS[0]}"/>'
        for k, value in enumerate(values.values())
    ]
    names = [f"<span>{escape(name)} <b>{value:.4g}</b></span>" for name, value in values.items()]
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(title)}">{"".join(drawn)}</svg>'
        f'<div class="ends">{"".join(names)}</div></figure>'
    )


def _cell(value: str | float) -> str:
    if isinstance(value, str):
        words = ' class="words"' if len(value) > SENTENCE else ""
        return f"<td{words}>{escape(value)}</td>"
    return f'<td class="number">{value:.4g}</td>'


def _thinned(points: Points) -> Points:
    kept = [point for point in points if isfinite(point[1])]
    step = max(1, len(kept) // MOST_POINTS)
    return [*kept[:-1:step], *kept[-1:]]


def _ends(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)


def _colours(n: int) -> list[str]:
    return [COLOURS[index % len(COLOURS)] for index in range(n)]


def _line(points: Sequence[tuple[float, float]], colour: str, width: float) -> str:
    if len(points) == 1:
        points = [points[0], (points[0][0] + 1, points[0][1])]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}" '
        'vector-effect="non-scaling-stroke"/>'
    )


def _legend(curves: Mapping[str, Points]) -> str:
    parts = [
        f'<span style="color:{colour}">{escape(name)} <b>{points[-1][1]:.4g}</b></span>'
        for (name, points), colour in zip(curves.items(), _colours(len(curves)), strict=True)
        if points
    ]
    return " ".join(parts)
