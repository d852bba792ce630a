"""Names that a reader understands: of arms, of metrics, and of verdicts."""

from collections.abc import Mapping
from typing import Any

from lit_synth.studies.terms import matching

SHAPES = {"supported": "●", "reversed": "◆", "undecided": "□", "void": "✕"}
SHORT = {
    "fid": "FID",
    "kid": "KID",
    "kmmd": "KMMD",
    "mv": "MV",
    "mind": "MIND",
    "miou": "mIoU",
    "delta1": "δ1",
    "l1": "L1",
    "ms_per_image": "ms per image",
}
BETTER = {"lower": "lower is better", "higher": "higher is better", "neither": ""}
ARROWS = {"lower": " ↓", "higher": " ↑", "neither": ""}


def arm_name(arm: str, plot: Mapping[str, Any]) -> str:
    """Return an arm's name for readers.

    Args:
        arm: Name of the arm in the plan.
        plot: Of the plan. Its `names` give names by patterns, the first that matches; a `*` in the
            name stands for what the pattern's star has matched. Without one, dashes are spaces.
    """
    for pattern, name in plot.get("names", {}).items():
        if matching(pattern, [arm]):
            before, _, after = pattern.partition("*")
            matched = arm[len(before) : len(arm) - len(after)].replace("-", " ")
            return str(name).replace("*", matched)
    return arm.replace("-", " ")


def metric_name(metric: str, plot: Mapping[str, Any]) -> str:
    """Return a metric's name for readers, such as `mIoU, depth to segmentation`.

    Args:
        metric: Name of the metric in the plan, or of a column of `metrics.csv`.
        plot: Of the plan; its `metrics` give names.
    """
    if metric in plot.get("metrics", {}):
        return str(plot["metrics"][metric])
    group, _, name = metric.rpartition("/")
    readable = SHORT.get(name, name.replace("_", " "))
    if group == "val":
        return f"{readable} on validation"
    return f"{readable}, {group.replace('_', ' ')}" if group else readable


def verdict_name(verdict: str) -> str:
    """Return a verdict's word behind the shape that it has in pictures."""
    return f"{SHAPES[verdict]} {verdict}" if verdict in SHAPES else verdict


def title_of(id_: str, plot: Mapping[str, Any]) -> str:
    """Return the question that a study asks: `plot.title`, or its id."""
    return str(plot.get("title", id_))
