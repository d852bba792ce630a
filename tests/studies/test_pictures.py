"""Pictures of samples: which arms they show, and how much of a grid."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from lit_synth.studies.pictures import draw_samples

RED, BLUE = (200, 0, 0), (0, 0, 200)


def studied(folder, **plot):
    """Return jobs of three arms, of which two have grids: red up to (60, 40), and blue."""
    grid = np.full((80, 120, 3), BLUE, np.uint8)
    grid[:40, :60] = RED
    for arm in ("one", "two"):
        samples = folder / arm / "samples"
        samples.mkdir(parents=True)
        Image.fromarray(grid).save(samples / "00000010.png")
    arms = {arm: {0: SimpleNamespace(folder=folder / arm)} for arm in ("one", "two", "failed")}
    return SimpleNamespace(plan=SimpleNamespace(plot={"samples": ["*"], **plot}), arms=arms)


def share(path, colour):
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    return (np.abs(pixels - colour).max(2) < 30).mean()


@pytest.mark.parametrize(("plot", "blue"), [({}, True), ({"part": [60, 40]}, False)])
def test_samples_show_whole_grids_or_their_upper_left_part(tmp_path, plot, blue):
    path = tmp_path / "samples.png"
    draw_samples(studied(tmp_path, **plot), path)
    assert share(path, RED) > 0.01
    assert (share(path, BLUE) > 0.01) == blue


def test_wide_parts_stand_below_each_other(tmp_path):
    sizes = {}
    for width in (60, 500):
        jobs = studied(tmp_path / str(width), part=[width, 40])
        draw_samples(jobs, path := tmp_path / f"{width}.png")
        sizes[width] = Image.open(path).size
    assert sizes[500][1] > 1.5 * sizes[60][1]


def test_no_samples_no_picture(tmp_path):
    draw_samples(SimpleNamespace(plan=SimpleNamespace(plot={"samples": []}), arms={}), tmp_path)
    assert not list(tmp_path.iterdir())
