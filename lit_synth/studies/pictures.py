"""Pictures of a study: curves over training, one dot per seed, and generated images."""

import math
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from PIL import Image

from lit_synth.studies.jobs import Jobs
from lit_synth.studies.terms import matching

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_ARMS = 7  # colours that are told apart
DPI = 90
ACROSS = 900  # pixels of parts of grids beside each other


def draw_samples(jobs: Jobs, path: Path) -> None:
    """Write the last samples of the arms in `plot.samples`, beside each other, from the first seed.

    Every arm starts from the same latents. Arms whose run has failed are left out. With
    `plot.part`, width and height, only so many pixels of a grid are shown, from its upper left.
    """
    import matplotlib.pyplot as plt

    patterns = jobs.plan.plot.get("samples", [])
    grids = {}
    for arm in (name for pattern in patterns for name in matching(pattern, jobs.arms)):
        first = next(iter(jobs.arms[arm].values()))
        if files := sorted((first.folder / "samples").glob("[0-9]*.png")):
            grids[arm] = files[-1]
    if not grids:
        return
    width, height = jobs.plan.plot.get("part", (None, None))
    if width is None:  # whole grids, small
        across, size = len(grids), (2.2, 2.2)
    else:
        across, size = max(1, ACROSS // width), (width / DPI, height / DPI)
    down = math.ceil(len(grids) / across)
    figure, axes = plt.subplots(
        down, across, figsize=(size[0] * across, (size[1] + 0.3) * down), squeeze=False
    )
    for axis in axes.flat:
        axis.axis("off")
    for axis, (arm, file) in zip(axes.flat, grids.items(), strict=False):
        axis.imshow(plt.imread(file)[:height, :width], cmap="gray", interpolation="nearest")
        axis.set_title(arm, fontsize=9)
    _save(figure, path)


def draw(outcome: Mapping[str, Any], plot: Mapping[str, Any], path: Path) -> None:
    """Write the picture that a plan asks for.

    Args:
        outcome: Of the study.
        plot: `curve`: a column of `metrics.csv`, or `dots`: a metric; `panels`: title -> patterns
            of arms; `marks` (with `dots`): arm -> value that was aimed at; `log`: logarithmic axis?
        path: Of the PNG file.
    """
    import matplotlib.pyplot as plt

    panels: Mapping[str, list[str]] = plot["panels"]
    figure, axes = plt.subplots(
        1, len(panels), figsize=(0.8 + 3.4 * len(panels), 2.9), sharey=True, squeeze=False
    )
    for axis, (title, patterns) in zip(axes[0], panels.items(), strict=True):
        arms = [name for pattern in patterns for name in matching(pattern, outcome["arms"])]
        if "curve" in plot:
            _curves(axis, outcome, plot["curve"], arms[:MAX_ARMS])
        else:
            _dots(axis, outcome, plot["dots"], arms, plot.get("marks", {}))
        axis.set_title(title, fontsize=9)
        axis.tick_params(labelsize=7)
        axis.spines[["top", "right"]].set_visible(False)
        if plot.get("log"):
            axis.set_yscale("log")
    axes[0][0].set_ylabel(plot.get("curve", plot.get("dots")), fontsize=8)
    _save(figure, path)


def _save(figure: "Figure", path: Path) -> None:
    import matplotlib.pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI, bbox_inches="tight")
    plt.close(figure)
    with Image.open(path) as picture:  # 256 colours: a third of the bytes
        picture.convert("RGB").quantize(256).save(path, optimize=True)


def _curves(axis: "Axes", outcome: Mapping[str, Any], column: str, arms: list[str]) -> None:
    for number, arm in enumerate(arms):
        curves = [by[column] for by in outcome["curves"][arm].values() if column in by]
        for curve in curves:
            axis.plot(*zip(*curve, strict=True), color=f"C{number}", alpha=0.25, linewidth=0.7)
        if curves:
            points = list(zip(*curves, strict=False))
            iterations = [point[0][0] for point in points]
            means = [mean(value for _, value in point) for point in points]
            axis.plot(iterations, means, color=f"C{number}", linewidth=1.8, label=arm)
    axis.set_xlabel("iteration", fontsize=8)
    if arms:
        axis.legend(fontsize=7, frameon=False)


def _dots(
    axis: "Axes",
    outcome: Mapping[str, Any],
    metric: str,
    arms: list[str],
    marks: Mapping[str, float],
) -> None:
    for place, arm in enumerate(arms):
        values = [v[metric] for v in outcome["arms"][arm].values() if metric in v]
        axis.plot([place] * len(values), values, "o", color="C0", alpha=0.5, markersize=4)
        if arm in marks:
            axis.plot([place - 0.3, place + 0.3], [marks[arm]] * 2, color="C3", linewidth=1.5)
    axis.set_xticks(range(len(arms)), arms, rotation=30, ha="right")
