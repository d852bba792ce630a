"""Forest plot: its unit, what stands beside a row, and marks that differ in colour and shape."""

import pytest
from outcomes import fids, outcome_of
from PIL import Image

from lit_synth.studies import figures
from lit_synth.studies.forest import Row, draw_forest, row_of
from lit_synth.studies.plan import load_plan

GATE = [{"says": "any", "metric": "fid", "between": "scratch-5", "within": [0, 100]}]
PRIMARY = {"says": "p", "less": ["transfer-*", "scratch-*"], "metric": "fid", "role": "primary"}


@pytest.fixture
def row(write_plan):
    def make(arms, primary=PRIMARY, **changes):
        plan = load_plan(write_plan(**{"gate": GATE, "expects": [primary], **changes}))
        return row_of(plan, outcome_of(plan, arms))

    return make


@pytest.mark.parametrize(("transfer", "share"), [(10, 0.5), (40, -0.5)])
def test_an_ordering_is_told_in_shares_of_its_larger_side(row, transfer, share):
    found = row({**fids(scratch_5=20, scratch_50=20, transfer_5=transfer, transfer_50=transfer)})
    larger = max(20, transfer) + 0.35  # the mean of what seeds add
    assert found.effect == pytest.approx((20 - transfer) / larger)
    assert found.effect == pytest.approx(share, abs=0.02)
    assert found.interval == pytest.approx((found.effect, found.effect))
    assert found.verdict == ("supported" if share > 0 else "reversed")


def test_a_range_is_told_by_the_margin_inside(row):
    primary = {**PRIMARY, "between": "scratch-5", "within": [20, 30]}
    del primary["less"]
    found = row(fids(seeds=2, scratch_5=22, scratch_50=0, transfer_5=0, transfer_50=0), primary)
    assert found.effect == pytest.approx((22.05 - 20) / 10)


def test_floor_and_ceiling_bound_what_is_possible(row):
    plot = {"dots": "fid", "panels": {"all": ["*"]}, "floor": 5, "ceiling": {"untrained": 30}}
    found = row(fids(scratch_5=20, scratch_50=20, transfer_5=10, transfer_50=10), plot=plot)
    assert found.reach == pytest.approx(((20.35 - 30) / 20.35, (20.35 - 5) / 20.35))


def test_a_void_row_has_its_reason_in_short(row):
    arms = fids(scratch_5=20, scratch_50=20, transfer_5=10, transfer_50=10)
    assert row(arms, gate=[]).told == "void: no gate"
    assert row(arms, gate=[{**GATE[0], "within": [0, 1]}]).told == "void: a gate failed"
    assert row(arms).told == "FID 10.3 against 20.3, p 0.008"


def test_verdicts_differ_in_colour_and_in_shape():
    for looks in (figures.MARKS, figures.MARK_COLOURS):
        assert len(set(looks.values())) == 4


def test_the_plot_is_readable_at_the_width_of_a_page(tmp_path):
    rows = [Row(f"study {word}", word, 0.2, (0.1, 1.7), (-0.5, 0.8), "") for word in figures.MARKS]
    draw_forest({"A method": rows}, tmp_path / "forest.png")
    assert 900 < Image.open(tmp_path / "forest.png").width < 1450
