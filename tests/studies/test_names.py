import pytest

from lit_synth.studies import figures, names

PLOT = {
    "names": {"transfer-low-*": "TransferGAN from 0-4, * %", "*-pi": "pooling (*)"},
    "metrics": {"class_8": "read as a red car"},
}


@pytest.mark.parametrize(
    ("arm", "name"),
    [
        ("transfer-low-30", "TransferGAN from 0-4, 30 %"),
        ("bags-colour-pi", "pooling (bags colour)"),
        ("no-attention", "no attention"),
    ],
)
def test_arms_have_names_for_readers(arm, name):
    assert names.arm_name(arm, PLOT) == name


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        ("val/fid", "FID on validation"),
        ("depth_to_segmentation/miou", "mIoU, depth to segmentation"),
        ("class_8", "read as a red car"),
    ],
)
def test_metrics_have_names_for_readers(metric, name):
    assert names.metric_name(metric, PLOT) == name


def test_every_verdict_has_a_shape_everywhere():
    assert set(names.SHAPES) == set(figures.MARKS) == set(figures.MARK_COLOURS)
