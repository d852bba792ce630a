"""The page of a run: its result first, then how it came about, numbers, curves, settings."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from lit_synth.contracts.classifier import Classifier
from lit_synth.method import Method
from lit_synth.metrics.card import Card, read_card
from lit_synth.metrics.meanings import alignment_suffix, arrow, meaning
from lit_synth.reports import overfitting, translations
from lit_synth.reports.html import (
    bars,
    cells,
    chart,
    definitions,
    folded,
    page,
    picture,
    side_by_side,
    table,
)
from lit_synth.reports.translations import Standings
from lit_synth.runs.metrics_csv import METRICS_FILE, Curves, read_curves

Cards = Mapping[str, tuple[Card, dict[str, float]]]  # name of an evaluation -> card, values

FILE = "report.html"
SELECTOR = "train/p_"  # shares of a selector belong in one chart
ACCURACY = "/accuracy"  # and so do the accuracies of a method's classifiers


def render(
    folder: Path,
    method: Method,
    best: tuple[str, str] | None = None,
    standings: Standings | None = None,
    images: int | None = None,
) -> str:
    """Return the report of the run in `folder` as HTML.

    Args:
        folder: The run's folder.
        method: What was trained.
        best: Column of `metrics.csv` whose `min` or `max` tells the best iteration.
        standings: What the method translates, and how it stands to the training sets.
        images: How many training images there are, if known.
    """
    curves = read_curves(folder / METRICS_FILE)
    ends, total = [], 0
    for stage in method.stages:
        total += stage.iterations
        ends.append(total)
    title = f"{folder.parent.name}/{folder.name}: {type(method).__name__}"
    best_at = best_iteration(curves, best)
    cards = _cards(folder / "cards")
    advice = overfitting.advice(curves, images)
    return page(
        title,
        {
            "Result": _result(folder / "samples", best_at, cards, method, standings)
            + (f"<p>{advice}</p>" if advice else ""),
            "On the way": _on_the_way(folder / "samples", best_at, standings),
            "Numbers": _numbers(cards, method, standings),
            "Curves": _charts(curves, ends[:-1], method, standings),
            "Stages": _stages(method),
            "Settings": "".join(
                folded(name, (folder / name).read_text())
                for name in ("config.yaml", "environment.json")
                if (folder / name).is_file()
            ),
        },
    )


def best_iteration(curves: Curves, best: tuple[str, str] | None) -> int | None:
    """Return the iteration with the lowest or highest value of a curve, if it was measured."""
    if best is None or best[0] not in curves:
        return None
    name, mode = best
    choose = min if mode == "min" else max
    return choose(curves[name], key=lambda point: point[1])[0]


def _stages(method: Method) -> str:
    rows = [
        (stage.name, str(stage.iterations), ", ".join(stage.freeze) or "-")
        for stage in method.stages
    ]
    return table(("stage", "iterations", "frozen"), rows)


def _cards(folder: Path) -> dict[str, tuple[Card, dict[str, float]]]:
    """Return the last evaluation of training and those of the verbs, `test` last."""
    paths = sorted(folder.glob("*.json"))
    in_training = [path for path in paths if "-" in path.stem]
    verbs = sorted((path for path in paths if "-" not in path.stem), key=lambda p: p.stem == "test")
    return {path.stem: read_card(path) for path in [*in_training[-1:], *verbs]}


def _result(
    samples: Path,
    best: int | None,
    cards: Cards,
    method: Method,
    standings: Standings | None,
) -> str:
    """Show what came of the run: real images beside the last grid and the best, and the numbers."""
    grids = _grids(samples)
    pictures: dict[str, Path] = {}
    if grids:
        last, nearest = max(grids), _nearest(grids, best)
        words = " and nearest to the best" if nearest == last else ""
        pictures[f"made: iteration {last} (last{words})"] = grids[last]
        if nearest is not None and nearest != last:
            pictures[f"made: iteration {nearest} (nearest to the best, at {best})"] = grids[nearest]
    real = {"real": samples / "real.png"} if (samples / "real.png").is_file() else {}
    # Beside images; after translations, which have the truth in their own last columns.
    pictures = {**real, **pictures} if standings is None else {**pictures, **real}
    shown = side_by_side(_figures(pictures, standings))
    if not cards or isinstance(method, Classifier):
        return shown
    name, (_, values) = list(cards.items())[-1]
    if standings is None:
        return shown + f"<p>{_title(name)}</p>" + _headline(values)
    legend = definitions(translations.words(values, standings))
    return shown + f"<p>{_title(name)}</p>" + translations.headline(values, standings) + legend


def _title(evaluation: str) -> str:
    """Return what an evaluation was of, such as `val split, iteration 300`, for `val-00000300`."""
    split, _, iteration = evaluation.partition("-")
    return f"{split} split, iteration {int(iteration)}" if iteration else f"{split} split"


def _headline(values: dict[str, float]) -> str:
    """Return a table of the metrics of which one way is better, each with what it says."""
    rows: list[tuple[str, float, str]] = []
    for metric, value in values.items():
        found = meaning(metric)
        if found and found.better:
            rows.append((arrow(metric), value, found.sentence))
    return table(("metric", "value", "what it says"), rows) if rows else ""


def _grids(folder: Path) -> dict[int, Path]:
    return {int(path.stem): path for path in sorted(folder.glob("[0-9]*.png"))}


def _nearest(iterations: Iterable[int], best: int | None) -> int | None:
    if best is None:
        return None
    return min(iterations, key=lambda iteration: abs(iteration - best))


def _figures(pictures: dict[str, Path], standings: Standings | None) -> list[str]:
    wide = standings is not None  # many columns with words
    return [picture(path.read_bytes(), caption, wide) for caption, path in pictures.items()]


def _on_the_way(folder: Path, best: int | None, standings: Standings | None) -> str:
    """Show the first grid and the middle one, unless they are among the result."""
    grids = _grids(folder)
    if len(grids) < 2:
        return ""
    iterations = list(grids)
    chosen = {iterations[0]: "first", iterations[len(iterations) // 2]: "middle"}
    shown = {iterations[-1], _nearest(iterations, best)}
    pictures = {f"iteration {k} ({w})": grids[k] for k, w in chosen.items() if k not in shown}
    return side_by_side(_figures(pictures, standings))


def _numbers(cards: Cards, method: Method, standings: Standings | None) -> str:
    """Show every evaluation with its card, and what its metrics say."""
    parts, measured = [], dict[str, float]()
    for name, (card, values) in cards.items():
        measured |= values
        if isinstance(method, Classifier):
            found = {key.removesuffix(ACCURACY): value for key, value in values.items()}
            parts.append(bars(f"accuracy, {name}", found))
        elif standings is None:
            named = [(arrow(metric), value) for metric, value in values.items()]
            parts.append(table((_title(name), ""), named))
        else:
            parts.append(f"<p>{_title(name)}</p>")
            parts.append(translations.tables(values, standings))
        parts.append(f"<small>{folded('card', chr(10).join(card.lines()))}</small>")
    if standings is not None and measured:
        parts.append(_meanings(measured))
    return "".join(parts)


def _meanings(values: dict[str, float]) -> str:
    """Return a table of what the metrics of translations say, each once."""
    labels = {name.rpartition("/")[0] for name in values if name.endswith("/miou")}
    rows: dict[str, tuple[str, str]] = {}
    for name in values:
        group, _, metric = name.rpartition("/")
        found = meaning(name, pixels=group in labels)
        key = metric.removesuffix("_true")
        if group == "alignment":
            key = f"{group} {alignment_suffix(metric).replace('_', ' ').strip()}".strip()
        elif group == "reverse":
            key = f"{group} {metric}"
        if found and not metric.startswith("iou_"):
            rows.setdefault(found.sentence, (f"{key} {found.better}".strip(), found.sentence))
    return table(("metric", "what it says"), list(rows.values())) if rows else ""


def _charts(
    curves: Curves, stage_ends: list[int], method: Method, standings: Standings | None
) -> str:
    together = {}
    if isinstance(method, Classifier):
        together = {name: curves[name] for name in curves if name.endswith(ACCURACY)}
    selector = {
        name.removeprefix(SELECTOR): points
        for name, points in curves.items()
        if name.startswith(SELECTOR)
    }
    alone = sorted(
        (
            name
            for name in curves
            if not name.startswith(SELECTOR)
            and name not in together
            and not (standings and translations.belongs(name, standings))
        ),
        key=lambda name: name.startswith("train/"),
    )
    charts = [chart(name, {"": curves[name]}, stage_ends) for name in alone]
    if selector:
        charts.insert(0, chart("selector", selector, stage_ends))
    if together:
        lines = {name.split("/")[1]: points for name, points in together.items()}
        charts.insert(0, chart("accuracy", lines, stage_ends))
    if standings:
        charts = translations.charts(curves, standings, stage_ends) + charts
    return cells(charts)
