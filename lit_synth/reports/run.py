"""The page of a run: samples, numbers, curves, settings."""

from pathlib import Path

from lit_synth.contracts.classifier import Classifier
from lit_synth.method import Method
from lit_synth.metrics.card import read_card
from lit_synth.reports import translations
from lit_synth.reports.html import bars, cells, chart, folded, page, picture, table
from lit_synth.reports.translations import Standings
from lit_synth.runs.metrics_csv import METRICS_FILE, Curves, read_curves

FILE = "report.html"
SELECTOR = "train/p_"  # shares of a selector belong in one chart
ACCURACY = "/accuracy"  # and so do the accuracies of a method's classifiers


def render(
    folder: Path,
    method: Method,
    best: tuple[str, str] | None = None,
    standings: Standings | None = None,
) -> str:
    """Return the report of the run in `folder` as HTML.

    Args:
        folder: The run's folder.
        method: What was trained.
        best: Column of `metrics.csv` whose `min` or `max` tells the best iteration.
        standings: What the method translates, and how it stands to the training sets.
    """
    curves = read_curves(folder / METRICS_FILE)
    ends, total = [], 0
    for stage in method.stages:
        total += stage.iterations
        ends.append(total)
    title = f"{folder.parent.name}/{folder.name}: {type(method).__name__}"
    return page(
        title,
        {
            "Stages": _stages(method),
            "Samples": _samples(folder / "samples", best_iteration(curves, best), standings),
            "Numbers": _numbers(folder / "cards", method, standings),
            "Curves": _charts(curves, ends[:-1], method, standings),
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


def _samples(folder: Path, best: int | None, standings: Standings | None) -> str:
    """Show the real images, and the first, the middle, the last and the best grid."""
    grids = {int(path.stem): path for path in sorted(folder.glob("[0-9]*.png"))}
    chosen: dict[int, list[str]] = {}
    if grids:
        iterations = list(grids)
        chosen.setdefault(iterations[0], []).append("first")
        chosen.setdefault(iterations[len(iterations) // 2], []).append("middle")
        if best is not None:
            nearest = min(iterations, key=lambda iteration: abs(iteration - best))
            chosen.setdefault(nearest, []).append(f"nearest to the best, at {best}")
        chosen.setdefault(iterations[-1], []).append("last")
    captions = {
        f"iteration {iteration} ({', '.join(words)})": grids[iteration]
        for iteration, words in sorted(chosen.items())
    }
    if (folder / "real.png").is_file():
        captions = {"real": folder / "real.png", **captions}
    pictures = [(path.read_bytes(), caption) for caption, path in captions.items()]
    if standings is not None:  # many columns with words
        return "".join(picture(*each, wide=True) for each in pictures)
    return cells([picture(*each) for each in pictures])


def _numbers(folder: Path, method: Method, standings: Standings | None) -> str:
    """Show the last evaluation of training and those of the verbs, each with its card."""
    paths = sorted(folder.glob("*.json"))
    in_training = [path for path in paths if "-" in path.stem]
    parts = []
    for path in [*in_training[-1:], *(path for path in paths if "-" not in path.stem)]:
        card, values = read_card(path)
        if isinstance(method, Classifier):
            found = {name.removesuffix(ACCURACY): value for name, value in values.items()}
            parts.append(bars(f"accuracy, {path.stem}", found))
        elif standings is None:
            parts.append(table((path.stem, ""), list(values.items())))
        else:
            parts.append(f"<p>{path.stem}</p>")
            parts.append(translations.tables(values, standings))
        parts.append(f"<small>{folded('card', chr(10).join(card.lines()))}</small>")
    return "".join(parts)


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
