"""The part of a run's report on styles: bias, diversity, where images change, other runs beside."""

from collections.abc import Iterator, Mapping

from lit_synth.contracts.translator import Translation
from lit_synth.metrics.meanings import arrow
from lit_synth.reports.html import chart, table

Curves = Mapping[str, list[tuple[int, float]]]
Rows = list[tuple[str, str, dict[str, float]]]  # translation, who made it, metric -> value

IDENTITY, MEAN, BESIDE, REVERSE = "identity", "mean", "beside", "reverse"  # groups of values
TRUE = "_true"
BIAS = (
    "misclassified",
    "misclassified_f1",
    "misclassified_f2",
    "misclassified_free",
    "misclassified_h",
    "confidence_drop",
    "wanted",
    "wanted_free",
    "joint",
    "joint_free",
    "diversity",
    "diversity_kept",
    "shade_std",
)
PLACE = (
    "change_inside",
    "change_outside",
    "floor_outside",
    "change_net",
    "attention_inside",
    "attention_outside",
    "diversity_inside",
    "diversity_outside",
    "cycle_l1",
    "identity_distance",
    "identity_distance_others",
)
CHARTED = ("misclassified", "wanted", "joint", "diversity", "change_net")
ATTENTION = {"attention_inside": "inside", "attention_outside": "outside"}
MOST_LINES = 6  # in a chart; of more translations, the mean is drawn
_JUDGED = ("misclassified_", "confidence_drop_", "wanted_", "joint_")


def is_ours(metric: str) -> bool:
    """Tell whether a metric of a translation is shown here."""
    known = (*BIAS, *PLACE)
    return metric.removesuffix(TRUE) in known or metric.startswith(_JUDGED)


def charts(evaluated: Curves, translations: list[Translation], stage_ends: list[int]) -> list[str]:
    """Return charts of bias, diversity and attention.

    Args:
        evaluated: `<translation>/<metric>` -> (iteration, value) pairs.
        translations: All that were measured.
        stage_ends: Where to draw thin lines.
    """
    names = [each.name for each in translations]
    names = names if len(names) <= MOST_LINES else [MEAN]
    drawn = []
    for metric in CHARTED:
        lines = {n: evaluated[f"{n}/{metric}"] for n in names if f"{n}/{metric}" in evaluated}
        drawn += [chart(metric, lines, stage_ends)] if lines else []
    attended = {
        f"{name} {words}": evaluated[f"{name}/{metric}"]
        for name in names
        for metric, words in ATTENTION.items()
        if f"{name}/{metric}" in evaluated
    }
    return drawn + ([chart("attention", attended, stage_ends)] if attended else [])


def tables(values: Mapping[str, float], translations: list[Translation]) -> str:
    """Return tables of one evaluation: bias and diversity, where images change, reverse."""
    rows = [row for name in (MEAN, *(t.name for t in translations)) for row in _rows(values, name)]
    extra = {metric for _, _, found in rows for metric in found if metric.startswith(_JUDGED[0])}
    parts = [
        _table("bias and diversity", rows, (*BIAS, *sorted(extra - set(BIAS)))),
        _table("where images change", rows, PLACE),
    ]
    if found := _of(values, REVERSE):
        parts.append(table(("reverse classification", ""), list(found.items())))
    return "".join(parts)


def _rows(values: Mapping[str, float], name: str) -> Iterator[tuple[str, str, dict[str, float]]]:
    """Yield what was measured of a translation: by this run, by others, by leaving it be, true."""
    own = {metric: value for metric, value in _of(values, name).items() if is_ours(metric)}
    yield name, "this run", {m: v for m, v in own.items() if not m.endswith(TRUE)}
    runs = dict.fromkeys(key.split("/")[1] for key in values if key.startswith(f"{BESIDE}/"))
    for run in runs:
        yield name, run, _of(values, f"{BESIDE}/{run}/{name}")
    yield name, IDENTITY, _of(values, f"{IDENTITY}/{name}")
    yield name, "true", {m.removesuffix(TRUE): v for m, v in own.items() if m.endswith(TRUE)}


def _table(title: str, rows: Rows, metrics: tuple[str, ...]) -> str:
    """Return a table of some metrics, without rows and columns that have no value."""
    shown = [metric for metric in metrics if any(metric in found for _, _, found in rows)]
    cells = [
        (name, who, *(found.get(metric, "") for metric in shown))
        for name, who, found in rows
        if any(metric in found for metric in shown)
    ]
    return table((title, "", *map(arrow, shown)), cells) if cells else ""


def _of(values: Mapping[str, float], group: str) -> dict[str, float]:
    """Return metric -> value of one group of names."""
    start = f"{group}/"
    return {name.removeprefix(start): v for name, v in values.items() if name.startswith(start)}
