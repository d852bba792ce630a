"""Plots of studies: floors and ceilings, intervals, names, the better direction."""

import matplotlib.pyplot as plt
import pytest
from outcomes import fids, outcome_of

from lit_synth.studies import figures, pictures
from lit_synth.studies.plan import load_plan

ARMS = fids(scratch_5=20, scratch_50=18, transfer_5=10, transfer_50=9)
PANELS = {"5 images": ["*-5"], "50 images": ["*-50"]}
NAMES = {"transfer-*": "TransferGAN, * images", "scratch-*": "from scratch, * images"}


@pytest.fixture
def drawn(write_plan, tmp_path, monkeypatch):
    """Draw a plot, and return the figure instead of its file."""

    def draw(**plot):
        kept = []
        monkeypatch.setattr(figures, "save", lambda figure, _: kept.append(figure))
        plan = load_plan(write_plan(plot={"panels": PANELS, "names": NAMES, **plot}))
        pictures.draw(plan, outcome_of(plan, ARMS), tmp_path / "plot.png")
        plt.close(kept[0])
        return kept[0]

    return draw


def texts(figure):
    return {text.get_text() for text in figure.findobj(plt.Text)}


@pytest.mark.parametrize("plot", [{"dots": "fid"}, {"curve": "val/fid"}])
def test_plots_have_bounds_names_and_direction(drawn, plot):
    figure = drawn(**plot, floor=5, ceiling={"untrained": "scratch-5:fid"})
    found = texts(figure)
    assert {"floor", "ceiling: untrained"} <= found
    assert any("lower is better" in text and "FID" in text for text in found)
    assert any("TransferGAN" in text for text in found)
    assert not any("transfer-5" in text for text in found)
    drawn_at = [round(float(line.get_ydata()[0] if "curve" in plot else line.get_xdata()[0]), 2)
                for line in figure.axes[0].lines]  # fmt: skip
    assert {5.0, 20.35} <= set(drawn_at)


def test_panels_share_names_that_differ_in_size_alone(drawn):
    figure = drawn(curve="val/fid")
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.texts] == ["from scratch", "TransferGAN"]


def test_an_arm_has_its_seeds_mean_and_interval(drawn):
    axis = drawn(dots="fid").axes[0]
    seeds, interval, mean = axis.lines[:3]
    assert sorted(seeds.get_xdata()) == pytest.approx([20 + 0.1 * seed for seed in range(8)])
    assert float(mean.get_xdata()[0]) == pytest.approx(20.35)
    low, high = interval.get_xdata()
    assert 20 < low < 20.35 < high < 20.7


def test_a_curve_has_a_band(drawn):
    assert len(drawn(curve="val/fid").axes[0].collections) == 2


def test_letters_stay_readable():
    for name in ("font.size", "axes.titlesize", "axes.labelsize", "xtick.labelsize"):
        # 8 inches are shown some 800 pixels wide: a point is 1.4 pixels.
        assert figures.STYLE[name] * 100 / 72 >= 12
