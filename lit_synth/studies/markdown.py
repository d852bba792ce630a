"""Markdown of the results: tables, lists, and numbers as a reader wants them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a bar in a cell stays text."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )


def bullets(lines: Iterable[str]) -> str:
    """Return a list."""
    return "\n".join(f"- {line}" for line in lines)


def folded(title: str, text: str) -> str:
    """Return a text that a reader opens."""
    return f"<details><summary>{title}</summary>\n\n{text}\n\n</details>"


def picture(path: str, caption: str) -> str:
    """Return a picture with its caption below it."""
    return f"![{path.rpartition('/')[2].removesuffix('.png')}]({path})\n\n*{caption}*"


def number(value: float | None) -> str:
    """Return three digits of a number; nothing of None."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def with_interval(value: float | None, interval: Sequence[float] | None) -> str:
    """Return a number and its 95 % interval, such as `14.8 [13.9, 15.6]`."""
    if value is None or interval is None or None in interval:
        return number(value)
    low, high = interval
    return f"{number(value)} [{number(low)}, {number(high)}]"


def probability(p: float | None) -> str:
    """Return a p-value with three places."""
    return "" if p is None else f"{p:.3f}"


def told(value: Any) -> str:
    """Return any value of a JSON file in words: what a mapping holds, one after the other."""
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {told(each)}" for key, each in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(told, value))
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def capital(text: str) -> str:
    """Return a text with a capital letter first, but for words such as `mIoU`."""
    return text if text[1:2].isupper() else text[:1].upper() + text[1:]
