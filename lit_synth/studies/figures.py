"""What all pictures of studies share: sizes that stay readable, colours, intervals, files."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from lit_synth.studies.verdicts import Interval, bootstrap

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 8.0  # inches, which a page shows some 800 pixels wide
DPI = 160
# Told apart by all common kinds of colour vision (Okabe and Ito 2008).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
DASHES = ("-", "--", "-.", ":", "-", "--", "-.")
GREY = "#8a8a8a"
# A verdict is told by its colour and by its shape.
MARKS = {"supported": "o", "reversed": "D", "undecided": "s", "void": "x"}
MARK_COLOURS = {"supported": COLOURS[0], "reversed": COLOURS[1], "undecided": "white", "void": GREY}
STYLE = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 10,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "savefig.facecolor": "white",
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the style of all pictures of studies, whatever the user's own is."""
    import matplotlib.pyplot as plt

    with plt.rc_context():
        plt.rcdefaults()
        for name, value in STYLE.items():
            plt.rcParams[name] = value  # type: ignore[index]
        yield


def mean_and_interval(values: Sequence[float]) -> tuple[float, Interval | None]:
    """Return the mean over seeds and its 95 % bootstrap interval; None of fewer than two."""
    taken = list(values)
    return mean(taken), bootstrap(len(taken), lambda drawn: np.take(taken, drawn).mean(1))


def save(figure: "Figure", path: Path) -> None:
    """Write a figure as a small PNG file, and close it."""
    import matplotlib.pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI, bbox_inches="tight", pad_inches=0.08)
    plt.close(figure)
    shrink(path)


def shrink(path: Path) -> None:
    """Write a PNG file again with 256 colours, rare ones among them: a third of the bytes."""
    with Image.open(path) as picture:
        few = picture.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE)
        few.save(path, optimize=True)
