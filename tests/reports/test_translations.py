"""The part of the report that translations fill."""

import re

import pytest
from html_checker import Checker
from tiny_scenes import TinyScenes
from toy_run import fit
from toy_translator import CASCADE, TO_CLASSES, TO_DEPTH, ToyMixer

from lit_synth.callbacks.evaluate import Evaluate
from lit_synth.callbacks.report import Report
from lit_synth.callbacks.sample_grid import SampleGrid
from lit_synth.contracts.translator import Translation
from lit_synth.reports.translations import belongs, charts, tables

STANDINGS = {
    TO_CLASSES: "unseen",
    Translation(("rgb",), ("segmentation",)): "seen",
    CASCADE: "cascade",
    TO_DEPTH: "seen",
}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    judge = Evaluate(1, batch_size=4, metrics=[], batch_statistics=True)
    fit(folder, SampleGrid(2, n=2), judge, Report(), method=ToyMixer, data=TinyScenes())
    return (folder / "report.html").read_text()


def test_one_chart_for_each_target_and_metric(page):
    names = re.findall(r'aria-label="([^"]*)"', page)
    assert names == [
        "alignment (centred cosine)",
        "alignment (raw cosine)",
        "alignment (top-1 retrieval)",
        "to depth: delta1",
        "to depth: rmse",
        "to segmentation: miou",
        "to segmentation: accuracy",
        "to rgb: l1",
        "to rgb: psnr",
    ]


def test_it_is_whole(page):
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert checker.fetched == []


def test_grids_keep_their_size(page):
    assert page.count('<figure class="wide">') == 3


def curve(value):
    return [(0, 0.0), (10, value)]


def test_curves_of_a_target_stand_together_with_the_prior():
    curves = {
        "val/depth_to_segmentation/miou": curve(0.4),
        "val/rgb_to_segmentation/miou": curve(0.6),
        f"val/{CASCADE.name}/miou": curve(0.3),
        "val/prior/miou": curve(0.16),
        "val/oracle/depth_to_segmentation/miou": curve(0.7),
        "val/rgb_to_depth/delta1": curve(0.8),
        "train/latent": curve(1.0),
    }
    segmentation, depth = sorted(charts(curves, STANDINGS, []), reverse=True)
    words = re.findall(r'<span style="[^"]*">([^<]*) <b>([^<]*)</b>', segmentation)
    assert words == [
        ("rgb (seen)", "0.6"),
        ("depth (unseen)", "0.4"),
        ("depth to rgb (cascade)", "0.3"),
        ("depth (oracle)", "0.7"),
        ("prior", "0.16"),
    ]
    assert "prior" not in depth


def test_alignment_has_its_control_beside_it():
    measured = {"": 0.7, "_mismatched": 0.0, "_raw": 0.9, "_raw_mismatched": 0.8, "_retrieval": 0.9}
    curves = {f"val/alignment/rgb-depth{suffix}": curve(v) for suffix, v in measured.items()}
    centred, raw, retrieval = charts(curves, STANDINGS, [])
    assert "rgb-depth <b>0.7</b>" in centred
    assert "rgb-depth mismatched <b>0</b>" in centred
    assert "rgb-depth mismatched <b>0.8</b>" in raw
    assert "mismatched" not in retrieval


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("val/depth_to_segmentation/miou", True),
        ("val/depth_to_segmentation@batch/miou", True),
        ("val/swap/depth_to_segmentation/miou", True),
        ("val/alignment/rgb-depth_raw", True),
        ("val/prior/rmse", True),
        ("val/oracle/depth_to_segmentation/miou", True),
        ("val/prior_depth/rmse", True),
        ("val/fid", False),
        ("train/rec_depth", False),
    ],
)
def test_which_curves_belong(name, ours):
    assert belongs(name, STANDINGS) is ours


def test_tables():
    values = {
        "rgb_to_depth/rmse": 0.5,
        "depth_to_segmentation/miou": 0.41,
        "depth_to_segmentation/iou_bed": 0.125,
        "rgb_to_segmentation/miou": 0.6,
        "depth_to_segmentation@batch/miou": 0.43,
        "swap/depth_to_segmentation/miou": 0.23,
        "oracle/depth_to_segmentation/miou": 0.7,
        "prior/miou": 0.16,
        "prior/rmse": 0.9,
    }
    html = tables(values, STANDINGS)
    row = '<tr><td>{}</td><td>{}</td><td class="number">{}</td></tr>'
    rows = [
        row.format("from rgb", "seen", "0.6"),
        row.format("from depth", "unseen", "0.41"),
        row.format("from depth, batch statistics", "unseen", "0.43"),
        row.format("from depth, swapped side information", "unseen", "0.23"),
        row.format("from depth", "oracle", "0.7"),
        row.format("prior", "", "0.16"),
    ]
    head = "<tr><th>to segmentation</th><th></th><th>miou</th></tr>"
    assert head + "".join(rows) + "</table>" in html
    assert row.format("prior", "", "0.9") in html
    folded = html[html.index("<details>") : html.index("</details>")]
    assert "IoU of each class of segmentation" in folded
    assert "column 2: from depth\n" in folded
    assert "bed          0.1250" in folded  # nothing is known of column 1
