"""Pictures of samples: which arms they show, how much of a grid, and at what size."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from lit_synth.studies.samples import draw_samples

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


def count(path, colour):
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    return (np.abs(pixels - colour).max(2) < 10).sum()


@pytest.mark.parametrize(
    ("plot", "red", "blue"),
    [
        ({}, 2400, 7200),
        ({"part": [60, 40]}, 2400, 0),
        ({"part": [60, 0, 60, 80]}, 0, 4800),
    ],
)
def test_samples_show_parts_of_grids_in_their_own_pixels(tmp_path, plot, red, blue):
    path = tmp_path / "samples.png"
    draw_samples(studied(tmp_path, **plot), path)
    assert count(path, RED) == 2 * red  # of two arms
    assert count(path, BLUE) == 2 * blue


def test_wide_parts_stand_below_each_other(tmp_path):
    sizes = {}
    for name, part in {"narrow": [60, 40], "wide": [120, 40]}.items():
        jobs = studied(tmp_path / name, part=part)
        for arm in ("one", "two"):
            file = tmp_path / name / arm / "samples" / "00000010.png"
            Image.open(file).resize((480, 80) if name == "wide" else (120, 80)).save(file)
        jobs.plan.plot["part"] = [450, 40] if name == "wide" else part
        draw_samples(jobs, path := tmp_path / f"{name}.png")
        sizes[name] = Image.open(path).size
    assert sizes["wide"][1] > 1.5 * sizes["narrow"][1]
    assert sizes["wide"][0] < 840


def test_no_samples_no_picture(tmp_path):
    path = tmp_path / "samples.png"
    draw_samples(SimpleNamespace(plan=SimpleNamespace(plot={"samples": []}), arms={}), path)
    assert not path.exists()
