"""The part of a run's report that translations fill: charts by target, tables, alignment."""

from collections.abc import Iterable, Iterator, Mapping

from lit_synth.contracts.translator import Translation
from lit_synth.reports import styles
from lit_synth.reports.html import chart, folded, table

Curves = Mapping[str, list[tuple[int, float]]]
Standings = Mapping[Translation, str]
Row = tuple[str, str, dict[str, float]]  # from what, how it stands, metric -> value

# What is drawn, where it was measured; all else is in the tables.
CHARTED = ("miou", "accuracy", "delta1", "rmse", "l1", "psnr", "fid", "kid", "class_accuracy")
PRIOR, ORACLE, ALIGNMENT, SWAP = "prior", "oracle", "alignment", "swap"  # groups of values
STYLES = {styles.IDENTITY, styles.MEAN, styles.BESIDE, styles.REVERSE}
BATCH, IOU = "@batch", "iou_"
SIMILARITIES = {  # chart -> suffixes of the names of alignments, and what they are called there
    "alignment (centred cosine)": {"": "", "_mismatched": " mismatched"},
    "alignment (raw cosine)": {"_raw": "", "_raw_mismatched": " mismatched"},
    "alignment (top-1 retrieval)": {"_retrieval": ""},
}


def charts(curves: Curves, standings: Standings, stage_ends: list[int]) -> list[str]:
    """Return a chart for each metric of each target, and those of styles and of the alignment.

    Args:
        curves: Columns of `metrics.csv`: name -> (iteration, value) pairs.
        standings: Each translation, and how it stands to the training sets.
        stage_ends: Where to draw thin lines.
    """
    evaluated = {_measure(name): points for name, points in curves.items()}
    drawn = styles.charts(evaluated, list(standings), stage_ends)
    drawn += [chart(title, lines, stage_ends) for title, lines in _alignment(evaluated)]
    for target in targets(standings):
        for metric in CHARTED:
            lines = _by_source(evaluated, standings, target, metric)
            if lines:
                drawn.append(chart(f"to {target}: {metric}", lines, stage_ends))
    return drawn


def targets(standings: Standings) -> list[str]:
    """Return what is translated to, in order of appearance."""
    return list(dict.fromkeys(each.target for each in standings))


def belongs(curve: str, standings: Standings) -> bool:
    """Tell whether a curve is one of translations, and so needs no chart of its own."""
    group = _measure(curve).partition("/")[0].removesuffix(BATCH)
    known = {each.name for each in standings} | {ALIGNMENT, SWAP, PRIOR, ORACLE} | STYLES
    return group in known | {f"{PRIOR}_{target}" for target in targets(standings)}


def tables(values: Mapping[str, float], standings: Standings) -> str:
    """Return tables of one evaluation: styles; each target's translations; alignment."""
    parts = [styles.tables(values, list(standings))]
    for target in targets(standings):
        rows = _rows(values, standings, target)
        metrics = list(dict.fromkeys(m for _, _, found in rows for m in found if IOU not in m))
        head = (f"to {target}", "", *metrics)
        cells = [(name, mark, *(found.get(m, "") for m in metrics)) for name, mark, found in rows]
        parts.append(table(head, cells) if metrics else "")
        parts.append(_classes(rows, target))
    return "".join([*parts, _alignment_table(values)])


def _measure(curve: str) -> str:
    """Return the name of a curve without its split."""
    return curve.partition("/")[2]


def _by_source(
    evaluated: Curves, standings: Standings, target: str, metric: str
) -> dict[str, list[tuple[int, float]]]:
    """Return the curves to a target: of translations, those seen first, oracles and the prior."""
    lines = {
        f"{_source(each)} ({standing})": evaluated[f"{each.name}/{metric}"]
        for each, standing in _seen_first(standings)
        if each.target == target and f"{each.name}/{metric}" in evaluated
    }
    prior = next((g for g in (f"{PRIOR}_{target}", PRIOR) if f"{g}/{metric}" in evaluated), None)
    if lines:
        for each in _oracles(evaluated, target):
            if points := evaluated.get(f"{ORACLE}/{each.name}/{metric}"):
                lines[f"{_source(each)} ({ORACLE})"] = points
    if lines and prior:
        lines[PRIOR] = evaluated[f"{prior}/{metric}"]
    return lines


def _oracles(names: Iterable[str], target: str) -> list[Translation]:
    """Return the translations to a target that oracles among the measured ones make."""
    found = dict.fromkeys(
        Translation.parse(name.split("/")[1]) for name in names if name.startswith(f"{ORACLE}/")
    )
    return [each for each in found if each.target == target]


def _seen_first(standings: Standings) -> list[tuple[Translation, str]]:
    return sorted(standings.items(), key=lambda item: item[1] != "seen")


def _source(translation: Translation) -> str:
    return " to ".join(["+".join(translation.sources), *translation.route[:-1]])


def _alignment(evaluated: Curves) -> Iterator[tuple[str, dict[str, list[tuple[int, float]]]]]:
    for title, suffixes in SIMILARITIES.items():
        lines = {
            f"{pair}{words}": evaluated[f"{ALIGNMENT}/{pair}{suffix}"]
            for suffix, words in suffixes.items()
            for pair in _pairs(evaluated)
        }
        if lines:
            yield title, lines


def _pairs(names: Mapping[str, object]) -> list[str]:
    """Return the pairs of modalities whose alignment was measured, such as 'rgb-depth'."""
    end = "_retrieval"
    found = [name for name in names if name.startswith(f"{ALIGNMENT}/") and name.endswith(end)]
    return [name.removeprefix(f"{ALIGNMENT}/").removesuffix(end) for name in found]


def _rows(values: Mapping[str, float], standings: Standings, target: str) -> list[Row]:
    """Return what was measured of translations to a target, then of oracles, last of the prior."""
    rows: list[Row] = []
    for translation, standing in _seen_first(standings):
        if translation.target != target:
            continue
        for group, words in (
            (translation.name, ""),
            (f"{translation.name}{BATCH}", ", batch statistics"),
            (f"{SWAP}/{translation.name}", ", swapped side information"),
        ):
            if found := _of(values, group):
                found = {m: v for m, v in found.items() if not styles.is_ours(m)}
                rows.append((f"from {_source(translation)}{words}", standing, found))
    for each in _oracles(values, target):
        rows.append((f"from {_source(each)}", ORACLE, _of(values, f"{ORACLE}/{each.name}")))
    names = {name for _, _, found in rows for name in found}
    prior = _of(values, f"{PRIOR}_{target}") or _of(values, PRIOR)
    if shared := {name: value for name, value in prior.items() if name in names}:
        rows.append((PRIOR, "", shared))
    return rows


def _of(values: Mapping[str, float], group: str) -> dict[str, float]:
    """Return metric -> value of one group of names."""
    start = f"{group}/"
    return {name.removeprefix(start): v for name, v in values.items() if name.startswith(start)}


def _classes(rows: list[Row], target: str) -> str:
    """Return the IoU of each class, to be unfolded."""
    classes = list(dict.fromkeys(m for _, _, found in rows for m in found if m.startswith(IOU)))
    if not classes:
        return ""
    width = max(len(name) for name in classes) - len(IOU)
    lines = [
        name.removeprefix(IOU).ljust(width)
        + "".join(f"{found[name]:8.4f}" if name in found else 8 * " " for _, _, found in rows)
        for name in classes
    ]
    legend = [f"column {number}: {name}" for number, (name, _, _) in enumerate(rows, start=1)]
    return folded(f"IoU of each class of {target}", "\n".join([*legend, "", *lines]))


def _alignment_table(values: Mapping[str, float]) -> str:
    suffixes = [suffix for group in SIMILARITIES.values() for suffix in group]
    rows: list[list[str | float]] = [
        [pair, *(values[f"{ALIGNMENT}/{pair}{suffix}"] for suffix in suffixes)]
        for pair in _pairs(values)
    ]
    head = ["alignment", *(suffix.strip("_").replace("_", " ") or "centred" for suffix in suffixes)]
    return table(head, rows) if rows else ""
