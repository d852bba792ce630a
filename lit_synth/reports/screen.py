"""What an evaluation tells on the screen: the metrics that matter most, on one screenful."""

import textwrap
from collections.abc import Mapping

from lit_synth.metrics.card import Card
from lit_synth.metrics.meanings import JUDGES, arrow, meaning

HEIGHT, WIDTH = 40, 100  # of a screen, in characters
MOST_OF_THE_CARD = 14  # lines
LEAST = 30  # characters; in less room a sentence would say nothing
# Groups of values in the order in which they are worth telling; all others stand between.
FIRST, LAST = ("", "mean"), ("prior", "identity", "oracle", "swap", "alignment", "beside")


def lines(values: Mapping[str, float], card: Card, path: str) -> list[str]:
    """Return the lines to print, at most one screen of them.

    Args:
        values: Metric -> value, as on the card.
        card: How they were measured.
        path: The file with all of them.
    """
    told = [line for fact in card.lines() for line in textwrap.wrap(fact, WIDTH)]
    if len(told) > MOST_OF_THE_CARD:
        told = [*told[: MOST_OF_THE_CARD - 1], "..."]
    room = HEIGHT - len(told) - 3
    ranked = sorted(values, key=_rank)
    shown, left = ranked[:room], len(ranked) - len(ranked[:room])
    width = max((len(arrow(name)) for name in shown), default=0)
    labels = {name.rpartition("/")[0] for name in values if name.endswith("/miou")}
    metrics = [
        _line(name, values[name], width, name.rpartition("/")[0] in labels) for name in shown
    ]
    rest = f"{left} more numbers and the whole card: {path}" if left else f"card: {path}"
    return [*metrics, "", rest, "", *told]


def _line(name: str, value: float, width: int, pixels: bool) -> str:
    found = meaning(name, pixels)
    line = f"{arrow(name, pixels):<{width}} {value:>10.4g}"
    room = WIDTH - len(line) - 2
    if found is None or room < LEAST:
        return line
    return f"{line}  {textwrap.shorten(found.sentence, room, placeholder=' ...')}"


def _rank(name: str) -> tuple[bool, int, bool]:
    """Return what to sort metrics by: those without a better way and of a single judge go last."""
    group, _, metric = name.rpartition("/")
    known = meaning(name)
    detail = known is None or not known.better or metric.startswith("iou_")
    of_one_judge = metric.rpartition("_")[2] in JUDGES
    first = group.split("/")[0].split("@")[0]
    order = FIRST.index(first) if first in FIRST else len(FIRST)
    late = any(first == each or first.startswith(f"{each}_") for each in LAST)
    return detail, order + late, of_one_judge
