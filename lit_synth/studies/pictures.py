"""Plot of a study: curves over training, or each arm's seeds, mean and interval."""

import math
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lit_synth.studies import figures
from lit_synth.studies.judging import Measured, by_number, quantity
from lit_synth.studies.markdown import capital
from lit_synth.studies.names import BETTER, arm_name, metric_name
from lit_synth.studies.plan import Plan
from lit_synth.studies.terms import matching

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Outcome = Mapping[str, Any]
MOST_ROWS = 24  # of arms below each other; more panels stand side by side
ROW_INCHES = 0.27


def draw(plan: Plan, outcome: Outcome, path: Path) -> None:
    """Write the plot that a plan asks for.

    Args:
        plan: The study. Of its `plot`: `curve`, a column of `metrics.csv`, or `dots`, a metric;
            `panels`: title -> patterns of arms; `marks` (with `dots`): arm -> value that was aimed
            at; `log`: logarithmic axis?; `floor`, `ceiling`: a term, a number, or name -> one;
            `names` and `metrics`: what arms and metrics are called.
        outcome: Result of the study.
        path: Where the PNG file goes.
    """
    panels = panels_of(plan, outcome)
    with figures.styled():
        if "curve" in plan.plot:
            _draw_curves(plan, outcome, panels, path)
        else:
            _draw_dots(plan, outcome, panels, path)


def panels_of(plan: Plan, outcome: Outcome) -> dict[str, list[str]]:
    """Return the arms of each panel of a plan's plot that has any."""
    panels = {
        title: [arm for pattern in patterns for arm in matching(pattern, outcome["arms"])]
        for title, patterns in plan.plot.get("panels", {}).items()
    }
    return {title: arms for title, arms in panels.items() if arms}


def caption(plan: Plan, outcome: Outcome) -> str:
    """Return what stands below the plot."""
    bounds = "".join(f" Dashed: {name}." for name, _ in lines(plan, outcome))
    if "curve" in plan.plot:
        return (
            f"{_axis_label(plan, plan.plot['curve'])}, over training. Lines are means over seeds, "
            f"bands their 95 % intervals.{bounds}"
        )
    marks = " Red bars: what is aimed at." if plan.plot.get("marks") else ""
    return (
        f"{_axis_label(plan, plan.plot['dots'])}. Small dots are seeds, diamonds their means with "
        f"95 % intervals.{bounds}{marks}"
    )


def _draw_curves(plan: Plan, outcome: Outcome, panels: Mapping[str, list[str]], path: Path) -> None:
    import matplotlib.pyplot as plt

    column = plan.plot["curve"]
    across = len(panels) if len(panels) < 4 else 2
    down = math.ceil(len(panels) / across)
    figure, grid = plt.subplots(
        down,
        across,
        figsize=(figures.WIDTH, 2.5 * down + 0.6),
        layout="constrained",
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    shared = _shared_names(plan, list(panels.values()))
    most = len(figures.COLOURS)
    for axis, (title, arms) in zip(grid.flat, panels.items(), strict=False):
        for number, arm in enumerate(arms[:most]):
            name = shared[number] if shared else arm_name(arm, plan.plot)
            _curve(axis, outcome["curves"].get(arm, {}), column, number, name)
        for name, value in lines(plan, outcome):
            axis.axhline(value, color=figures.GREY, linestyle=(0, (4, 3)), linewidth=1, label=name)
        axis.set_title(title, loc="left")
        if not shared:
            axis.legend()
        if plan.plot.get("log"):
            _plain_log(axis)
    for axis in grid[-1]:
        axis.set_xlabel("iteration")
    figure.supylabel(_axis_label(plan, column), fontsize=10)
    if shared:
        handles, labels = grid[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)))
    figures.save(figure, path)


def _curve(axis: "Axes", by_seed: Mapping[str, Any], column: str, number: int, name: str) -> None:
    """Draw the mean of an arm's curves, with the interval over seeds as a band."""
    curves = [dict(kept[column]) for kept in by_seed.values() if column in kept]
    iterations = sorted(set(curves[0]).intersection(*curves)) if curves else []
    if not iterations:
        return
    points = [figures.mean_and_interval([curve[i] for curve in curves]) for i in iterations]
    colour, dash = figures.COLOURS[number], figures.DASHES[number]
    means = [at for at, _ in points]
    axis.plot(iterations, means, dash, color=colour, marker="o", markersize=3.5, label=name)
    if all(interval for _, interval in points):
        low, high = zip(*(interval for _, interval in points if interval), strict=True)
        axis.fill_between(iterations, low, high, color=colour, alpha=0.18, linewidth=0)


def _draw_dots(plan: Plan, outcome: Outcome, panels: Mapping[str, list[str]], path: Path) -> None:
    import matplotlib.pyplot as plt

    rows = [len(arms) for arms in panels.values()]
    beside = sum(rows) > MOST_ROWS
    height = max(rows) if beside else sum(rows)
    shape = (1, len(rows)) if beside else (len(rows), 1)
    figure, grid = plt.subplots(
        *shape,
        figsize=(figures.WIDTH, ROW_INCHES * height + 0.9 + 0.35 * len(rows)),
        layout="constrained",
        sharex=True,
        squeeze=False,
        gridspec_kw={} if beside else {"height_ratios": rows},
    )
    for axis, (title, arms) in zip(grid.flat, panels.items(), strict=True):
        _dots(axis, plan, outcome, arms)
        axis.set_title(title, loc="left", pad=18 if lines(plan, outcome) else 6)
        if plan.plot.get("log"):
            _plain_log(axis, "x")
    figure.supxlabel(_axis_label(plan, plan.plot["dots"]), fontsize=10)
    figures.save(figure, path)


def _dots(axis: "Axes", plan: Plan, outcome: Outcome, arms: Sequence[str]) -> None:
    metric, marks = plan.plot["dots"], plan.plot.get("marks", {})
    for place, arm in enumerate(arms):
        values = [row[metric] for row in outcome["arms"][arm].values() if metric in row]
        if not values:
            continue
        at, interval = figures.mean_and_interval(values)
        blue = figures.COLOURS[0]
        axis.plot(values, [place] * len(values), "o", color=blue, alpha=0.35, markersize=4)
        if interval:
            axis.plot(interval, [place] * 2, color=blue, linewidth=2, solid_capstyle="butt")
        axis.plot(at, place, "D", color=blue, markersize=6, markeredgecolor="white")
        if arm in marks:
            ends = [place - 0.35, place + 0.35]
            axis.plot([marks[arm]] * 2, ends, color=figures.COLOURS[1], linewidth=2.5)
    for name, value in lines(plan, outcome):
        axis.axvline(value, color=figures.GREY, linestyle=(0, (4, 3)), linewidth=1)
        axis.annotate(
            name, (value, 1), xycoords=("data", "axes fraction"), xytext=(0, 2), fontsize=8,
            textcoords="offset points", ha="center", va="bottom", color="#555555",
        )  # fmt: skip
    axis.set_yticks(range(len(arms)), [arm_name(arm, plan.plot) for arm in arms])
    axis.set_ylim(len(arms) - 0.4, -0.6)
    axis.grid(axis="x", color="#e4e4e4", linewidth=0.8)
    axis.set_axisbelow(True)


def lines(plan: Plan, outcome: Outcome) -> list[tuple[str, float]]:
    """Return names and values of the floors and ceilings that a plan asks for."""
    arms = by_number(outcome["arms"])
    found = []
    for key in ("floor", "ceiling"):
        given = plan.plot.get(key, {})
        for name, term in (given if isinstance(given, dict) else {key: given}).items():
            label = name if name == key else f"{key}: {name}"
            if isinstance(term, int | float):
                found.append((label, float(term)))
            elif (value := mean_of_term(term, shown_metric(plan), arms)) is not None:
                found.append((label, value))
    return found


def shown_metric(plan: Plan) -> str:
    """Return the metric that a plan's plot shows; of a curve, without its `val/`."""
    return str(plan.plot.get("dots", plan.plot.get("curve", ""))).removeprefix("val/")


def mean_of_term(term: str, metric: str, arms: Measured) -> float | None:
    """Return a term's mean over the seeds that have it; None if none has."""
    values = []
    for seed in sorted({seed for by_seed in arms.values() for seed in by_seed}):
        try:
            values.append(quantity(term, metric, arms, seed))
        except (KeyError, ValueError):
            continue
    return sum(values) / len(values) if values else None


def _shared_names(plan: Plan, panels: Sequence[Sequence[str]]) -> list[str]:
    """Return what the arms at each place of the panels have in common; empty if nothing."""
    if len({len(arms) for arms in panels}) != 1:
        return []
    common = []
    for arms in zip(*panels, strict=True):
        words = zip(*(arm_name(arm, plan.plot).split() for arm in arms), strict=False)
        alike = takewhile(lambda at: len(set(at)) == 1, words)
        common.append(" ".join(at[0] for at in alike).rstrip(","))
    return common if all(common) and len(set(common)) == len(common) else []


def _axis_label(plan: Plan, metric: str) -> str:
    better = _better(plan, metric)
    return f"{capital(metric_name(metric, plan.plot))}{f' ({better})' if better else ''}"


def _better(plan: Plan, metric: str) -> str:
    return BETTER[plan.metrics.get(metric.removeprefix("val/"), "neither")]


def _plain_log(axis: "Axes", which: str = "y") -> None:
    """Make an axis logarithmic, with ordinary numbers at 1, 2 and 5 of each decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set(**{f"{which}scale": "log"})
    on = axis.yaxis if which == "y" else axis.xaxis
    on.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    on.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    on.set_minor_formatter(NullFormatter())
