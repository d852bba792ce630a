"""Grids of translations: colours, order of the columns, headings, and when they are written."""

import pytest
import torch
from PIL import Image, ImageFont
from tiny_scenes import TinyScenes
from torchvision.transforms.functional import pil_to_tensor
from toy_run import fit
from toy_translator import ToyTranslator

from datamodules.items.modalities import Modality
from lit_synth.callbacks.sample_grid import SampleGrid
from lit_synth.pictures.colours import coloured
from lit_synth.pictures.sheet import (
    APART_PX,
    FONT_PX,
    GAP_PX,
    LINE_PX,
    MOST_COLUMNS,
    TILE_PX,
    Column,
    heading_lines,
    sheet,
)
from lit_synth.pictures.translations import columns, preview

SIDE = 16 * (TILE_PX // 16)  # of a tile


def shown(truth=True, n=2):
    """Return the columns of the toy on hidden scenes."""
    data, method = TinyScenes(), ToyTranslator().eval()
    x = data.split("val").fetch(range(n))
    return columns(method, data, x, method.translations(), truth)


def test_columns_are_inputs_seen_others_truth():
    groups = shown()
    found = [(column.mark, column.lines) for (column,) in groups]
    assert found == [
        ("input", ("rgb",)),
        ("input", ("depth",)),
        ("seen", ("rgb", "to depth")),
        ("seen", ("depth", "to rgb")),
        ("unseen", ("depth", "to segmentation")),
        ("cascade", ("depth", "to rgb", "to segmentation")),
        ("partly seen", ("rgb+depth", "to segmentation")),
        ("truth", ("rgb",)),
        ("truth", ("depth",)),
        ("truth", ("segmentation",)),
    ]
    assert all(column.pictures.shape == (2, 3, 16, 16) for (column,) in groups)
    assert torch.equal(groups[0][0].pictures, groups[7][0].pictures)


def test_without_common_scenes_each_stands_beside_its_source():
    groups = shown(truth=False)
    assert [[column.mark for column in group] for group in groups[-3:]] == [
        ["input", "seen"],
        ["input", "cascade"],
        ["input", "input", "partly seen"],
    ]
    assert not any(column.mark == "truth" for group in groups for column in group)


def test_labels_have_their_palette_and_black_where_ignored():
    modality = Modality("labels", 2, palette=((10, 20, 30), (40, 50, 60)))
    picture = coloured(torch.tensor([[[0, 1, 255]]]), modality, None)[0]
    assert picture[:, 0].T.tolist() == [[10, 20, 30], [40, 50, 60], [0, 0, 0]]
    without = coloured(torch.arange(20)[None, None], Modality("labels", 20), None)[0, :, 0].T
    assert len(without.unique(dim=0)) == 20


def test_depth_is_coloured_over_the_range_of_the_truth():
    x = torch.tensor([[[[1.0, 5.0, 9.0, 0.0, 20.0]]]])
    picture = coloured(x, Modality("depth", 1), (1.0, 9.0))[0, :, 0].T
    assert picture[0].tolist() == [68, 1, 84]  # both ends of viridis
    assert picture[2].tolist() == picture[4].tolist() == [253, 231, 36]
    assert picture[3].tolist() == [0, 0, 0]
    assert picture[1].float().mean() > picture[0].float().mean()


def test_images_that_are_not_rgb_are_grey():
    x = torch.tensor([0.0, 1.0]).view(1, 2, 1, 1)
    assert coloured(x, Modality("image", 2), None).flatten().tolist() == 3 * [191]


def test_layout_of_a_sheet():
    pictures = torch.zeros(3, 3, 16, 16, dtype=torch.uint8)
    one = sheet([[Column("seen", ("a", "to b"), pictures)]])
    heading = 4 * LINE_PX + GAP_PX  # "trained on such pairs" takes two lines
    assert one.shape == (3, heading + 3 * (SIDE + 2 * GAP_PX), SIDE + 2 * GAP_PX)
    assert (one[:, heading : heading + SIDE, GAP_PX:-GAP_PX] == 0).all()
    assert (one[:, heading + SIDE : heading + SIDE + GAP_PX] == 230).all()
    words = one[:, :heading].float()
    assert words.min() < 120  # something is written
    assert (words[1] > words[0])[: LINE_PX - 2].any()  # in green


@pytest.mark.parametrize(("side", "shown"), [(16, 96), (28, 112), (64, 128), (96, 96), (128, 128)])
def test_no_tile_is_smaller_than_a_reader_needs(side, shown):
    column = Column("input", ("a",), torch.zeros(1, 3, side, side, dtype=torch.uint8))
    assert sheet([[column]]).shape[2] == shown + 2 * GAP_PX


def test_a_long_heading_is_wrapped_and_not_cut():
    def said(*lines):
        tile = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
        return [line for line, _ in heading_lines(Column("unseen", lines, tile))]

    font = ImageFont.load_default(FONT_PX)
    found = said("night", "w" * 40)
    assert " ".join(found[: found.index("night")]) == "never trained on such a pair"
    assert "".join(found[found.index("night") + 1 :]) == "w" * 40
    assert all(font.getlength(line) <= SIDE for line in found)


def test_too_many_columns_go_below():
    pictures = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    column = Column("unseen", ("a", "to b"), pictures)
    row = sheet([[column]] * MOST_COLUMNS)
    two = sheet([[column]] * (MOST_COLUMNS + 2))
    assert two.shape[1] == 2 * row.shape[1]
    assert two.shape[2] == (MOST_COLUMNS // 2 + 1) * (SIDE + 2 * GAP_PX)


def test_a_preview_has_the_truth_where_it_is_known():
    data, translation = TinyScenes(), ToyTranslator().translations()[1]
    x = data.split("test").fetch(range(3))
    made = torch.zeros(3, 1, 16, 16, dtype=torch.int64)
    with_truth = preview(data, {k: x[k] for k in ("depth", "segmentation")}, made, translation)
    without = preview(data, {"depth": x["depth"]}, made, translation)
    width = SIDE + 2 * GAP_PX
    assert (with_truth.shape[2], without.shape[2]) == (
        3 * width + 2 * APART_PX,
        2 * width + APART_PX,
    )
    assert torch.equal(with_truth[:, :, : 2 * width + APART_PX], without)


def test_the_callback_writes_fixed_scenes(tmp_path):
    method, _ = fit(tmp_path, SampleGrid(1, n=2), method=ToyTranslator, data=TinyScenes())
    names = sorted(path.name for path in (tmp_path / "samples").iterdir())
    assert names == ["00000000.png", "00000001.png", "00000002.png", "real.png"]
    assert {tuple(index) for _, index in method.asked} == {(0, 4)}  # of 8, evenly spaced
    first, last, real = (
        pil_to_tensor(Image.open(tmp_path / "samples" / name))
        for name in (names[0], names[2], names[3])
    )
    width = SIDE + 2 * GAP_PX
    assert first.shape == last.shape
    assert first.shape[2] == 10 * width + 5 * APART_PX
    assert real.shape[2] == 3 * width
    # The truth is the same in all of them, below headings of different heights.
    tiles = 2 * (SIDE + 2 * GAP_PX)
    assert torch.equal(first[:, -tiles:, -3 * width :], real[:, -tiles:, : 3 * width])


def test_unaligned_scenes_without_a_validation_split(tmp_path):
    class Unpaired(TinyScenes):
        aligned = False

        def has_split(self, name):
            return name == "test"

    data = Unpaired({"a": ["rgb"], "b": ["depth"], "c": ["segmentation"]})
    fit(tmp_path, SampleGrid(2, n=64), method=ToyTranslator, data=data)
    picture = pil_to_tensor(Image.open(tmp_path / "samples" / "00000002.png"))
    assert picture.shape[2] == 11 * (SIDE + 2 * GAP_PX) + 9 * APART_PX
    assert picture.shape[1] == 4 * LINE_PX + GAP_PX + 8 * (SIDE + 2 * GAP_PX)  # at most 8 scenes
