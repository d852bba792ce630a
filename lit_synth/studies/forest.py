"""Forest plot: the primary endpoint of every study in one unit, with its verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lit_synth.studies import figures
from lit_synth.studies.expectations import Expectation
from lit_synth.studies.judging import by_number
from lit_synth.studies.markdown import number, probability
from lit_synth.studies.names import metric_name, title_of
from lit_synth.studies.pictures import lines, mean_of_term, shown_metric
from lit_synth.studies.plan import Plan

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Outcome = Mapping[str, Any]
Ends = tuple[float, float]
MOST_LETTERS = 15  # of a metric's name beside its row
UNIT = (
    "per cent of the larger of the two sides; a rank correlation times 100; or the margin\n"
    "inside an allowed range, in per cent of that range"
)


@dataclass(frozen=True)
class Row:
    """A study in the forest plot; effects as shares, above 0 as the claim has it.

    Attributes:
        title: Question of the study.
        verdict: Its word.
        effect: Of the primary endpoint; None if it was not measured.
        interval: Its 95 % interval.
        reach: Effects that the floor and the ceiling of the metric leave room for.
        told: What stands beside it: the measured values, or why the study is void.
    """

    title: str
    verdict: str
    effect: float | None
    interval: Ends | None
    reach: Ends | None
    told: str


def row_of(plan: Plan, outcome: Outcome) -> Row:
    """Return a study's row."""
    test = primary_of(outcome)
    expectation = next((each for each in plan.expects if each.says == test["expects"]), None)
    sides = sides_of(expectation, outcome) if expectation else None
    effect, interval = _in_unit(test, sides)
    told = why_void(outcome) if outcome["verdict"] == "void" else _values(test, sides, plan)
    reach = _reach(plan, outcome, test, sides)
    title = title_of(plan.id, plan.plot)
    return Row(title, outcome["verdict"], effect, interval, reach, told)


def primary_of(outcome: Outcome) -> dict[str, Any]:
    """Return the test of the primary endpoint."""
    return next(test for test in outcome["tests"] if test["role"] == "primary")


def sides_of(expectation: Expectation, outcome: Outcome) -> Ends | None:
    """Return the means of the two terms of an ordering: what should be lower, and higher."""
    if expectation.test != "less":
        return None
    arms = by_number(outcome["arms"])
    low, high = (mean_of_term(term, expectation.metric, arms) for term in expectation.terms)
    return None if low is None or high is None else (low, high)


def measure_of(test: Mapping[str, Any], plan: Plan) -> str:
    """Return the name of what a test measures: `effect` where it adds up several metrics."""
    expectation = next((each for each in plan.expects if each.says == test["expects"]), None)
    metrics = {name for _, _, name in expectation.parts} if expectation else {test["metric"]}
    return metric_name(test["metric"], plan.plot) if len(metrics) == 1 else "effect"


def why_void(outcome: Outcome) -> str:
    """Return in a few words why a study is void."""
    if outcome["unequal"]:
        return f"void: unequal {', '.join(outcome['unequal'])}"
    if not outcome["gate"]:
        return "void: no gate"
    failed = [each for each in outcome["gate"] if not each["holds"]]
    return "void: a gate failed" if failed else "void: a control failed"


def draw_forest(groups: Mapping[str, Sequence[Row]], path: Path) -> None:
    """Write the plot.

    Args:
        groups: Title -> studies, from top to bottom.
        path: Where the PNG file goes.
    """
    import matplotlib.pyplot as plt

    total = sum(len(rows) + 1 for rows in groups.values())
    with figures.styled():
        figure, axis = plt.subplots(figsize=(figures.WIDTH, 0.3 * total + 1.5))
        figure.subplots_adjust(left=0.4, right=0.7)
        places, place = [], 0.0
        for title, rows in groups.items():
            axis.annotate(
                title, (-0.66, place), xycoords=("axes fraction", "data"), weight="bold",
                fontsize=10, va="center", annotation_clip=False,
            )  # fmt: skip
            for number_in_group, row in enumerate(rows, 1):
                _draw_row(axis, place + number_in_group, row)
                places.append((place + number_in_group, row.title))
            place += len(rows) + 1.2
        _frame(axis, place - 0.5)
        axis.set_yticks([at for at, _ in places], [title for _, title in places], fontsize=9)
        _legend(axis, any(row.reach for rows in groups.values() for row in rows))
        figures.save(figure, path)


def _draw_row(axis: "Axes", place: float, row: Row) -> None:
    colour = figures.GREY if row.verdict == "void" else "#222222"
    if row.reach:
        axis.plot(_clipped(row.reach), [place] * 2, color="#dcdcdc", linewidth=7, zorder=1)
    if row.interval:
        axis.plot(_clipped(row.interval), [place] * 2, color=colour, linewidth=1.6, zorder=2)
    if row.effect is not None:
        mark, fill = figures.MARKS[row.verdict], figures.MARK_COLOURS[row.verdict]
        edge = figures.GREY if row.verdict == "void" else "black"
        at = _clipped([row.effect])
        axis.plot(at, place, mark, color=fill, markeredgecolor=edge, markersize=7, zorder=3)
    axis.annotate(
        row.told, (1.02, place), xycoords=("axes fraction", "data"), fontsize=8.5, va="center",
        color=colour, annotation_clip=False,
    )  # fmt: skip


def _frame(axis: "Axes", bottom: float) -> None:
    axis.axvline(0, color="black", linewidth=0.8)
    axis.set_xlim(-1.05, 1.05)
    axis.set_ylim(bottom, -0.6)
    axis.set_xticks([-1, -0.5, 0, 0.5, 1], ["-100", "-50", "0", "50", "100"])
    axis.grid(axis="x", color="#eeeeee")
    axis.set_axisbelow(True)
    axis.spines["left"].set_visible(False)
    axis.tick_params(axis="y", length=0)
    axis.set_xlabel(f"← against the claim   |   as claimed →\n{UNIT}", fontsize=9)


def _legend(axis: "Axes", reach: bool) -> None:
    from matplotlib.lines import Line2D

    marks = [
        Line2D(
            [],
            [],
            linestyle="",
            marker=figures.MARKS[verdict],
            markersize=7,
            color=figures.MARK_COLOURS[verdict],
            markeredgecolor=figures.GREY if verdict == "void" else "black",
            label=verdict,
        )
        for verdict in figures.MARKS
    ]
    bar = Line2D([], [], color="#dcdcdc", linewidth=7, label="floor to ceiling")
    axis.legend(
        handles=[*marks, bar] if reach else marks,
        loc="lower center",
        bbox_to_anchor=(0.1, 1.0),
        ncols=5,
        fontsize=9,
        columnspacing=1.4,
    )


def _in_unit(test: Mapping[str, Any], sides: Ends | None) -> tuple[float | None, Ends | None]:
    """Return effect and interval as shares of what makes studies comparable; see `UNIT`."""
    effect, interval = test["effect"], test["interval"]
    if effect is None or (test["test"] == "less" and sides is None):
        return None, None
    if test["test"] == "between":
        low, high = test["within"]
        margins = [min(v - low, high - v) / (high - low) for v in (effect, *(interval or []))]
        return margins[0], (min(margins), max(margins)) if interval else None
    scale = _scale(effect, sides) if sides else 1.0
    return effect / scale, (interval[0] / scale, interval[1] / scale) if interval else None


def _scale(effect: float, sides: Ends) -> float:
    return max(abs(effect), *map(abs, sides)) or 1.0


def _values(test: Mapping[str, Any], sides: Ends | None, plan: Plan) -> str:
    name = measure_of(test, plan)
    name = name if len(name) < MOST_LETTERS else name.partition(",")[0]
    if len(name) >= MOST_LETTERS or (sides and name == "effect"):
        name = ""
    p = f", p {probability(test['p'])}" if test["p"] is not None else ""
    if test["effect"] is None:
        return "not measured"
    if sides:
        return f"{name} {against(sides, plan.metrics.get(test['metric'], ''))}{p}".strip()
    return f"{name} {number(test['effect'])}{p}".strip()


def against(sides: Ends, better: str) -> str:
    """Return both sides of an ordering, the one that should be better first."""
    ours, theirs = sides[::-1] if better == "higher" else sides
    return f"{number(ours)} against {number(theirs)}"


def _reach(
    plan: Plan, outcome: Outcome, test: Mapping[str, Any], sides: Ends | None
) -> Ends | None:
    """Return the effects that were possible: the favoured side at its worst and at its best."""
    known = dict(lines(plan, outcome)) if sides and test["metric"] == shown_metric(plan) else {}
    ends = [
        [value for name, value in known.items() if name.startswith(key)]
        for key in ("floor", "ceiling")
    ]
    if sides is None or test["effect"] is None or not all(ends):
        return None
    floor, ceiling = min(ends[0]), max(ends[1])
    scale, (low, high) = _scale(test["effect"], sides), sides
    if plan.metrics.get(test["metric"]) == "higher":  # the second term is the favoured one
        return (floor - low) / scale, (ceiling - low) / scale
    return (high - ceiling) / scale, (high - floor) / scale


def _clipped(values: Sequence[float]) -> list[float]:
    return [min(max(value, -1.04), 1.04) for value in values]
