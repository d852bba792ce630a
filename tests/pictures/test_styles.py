"""Grids of many styles: the same for all, side by side with other runs, with what may change."""

import pytest
import torch
from PIL import Image
from tiny_domains import TinyDomains
from torchvision.transforms.functional import pil_to_tensor
from toy_run import fit
from toy_styles import ToyDrawn, ToyPlain, ToyStyles
from toy_translator import ToyTranslator

from datamodules.items.modalities import Modality
from lit_synth.batches.labels import ATTRIBUTES
from lit_synth.callbacks import sample_grid
from lit_synth.callbacks.sample_grid import SampleGrid
from lit_synth.contracts.translator import Translation
from lit_synth.errors import InputError
from lit_synth.inference.styles import fixed_styles
from lit_synth.pictures.colours import heated
from lit_synth.pictures.sheet import APART_PX, GAP_PX, LINE_PX, MOST_COLUMNS, TILE_PX, Column, sheet
from lit_synth.pictures.styles import style_columns

SEED = 1  # whose three styles differ
WIDTH = 16 * (TILE_PX // 16) + 2 * GAP_PX  # of a column


def lines_of(*methods, n=2, styles=3, **settings):
    """Return the lines of toys on hidden images, and these."""
    data = TinyDomains()
    x = data.split("val").fetch(range(n))
    named = [(type(method).__name__, method.eval()) for method in methods]
    return style_columns(named, data, x, styles, SEED, **settings), x


def said(line):
    return [(column.mark, *column.lines) for column in line]


def level(pictures):
    """Return the mean of each picture, in [-1, 1]."""
    return pictures.float().mean((1, 2, 3)) / 127.5 - 1


def test_a_line_for_each_source_with_a_column_for_each_style():
    lines, _ = lines_of(ToyStyles())
    heads = [[("ToyStyles", s, t, f"style {k}") for k in (1, 2, 3)] for s, t in (
        ("dark", "to bright"), ("bright", "to dark"), ("grey", "to bright"),
    )]  # fmt: skip
    assert [said(line) for line in lines] == [
        [("input", h[0][1]), *h, ("ToyStyles", *h[0][1:3], "where it may change")] for h in heads
    ]


def test_styles_are_the_same_for_all_rows_translations_and_times():
    expected = fixed_styles(3, 2, SEED)[:, 0].tanh()
    for _ in range(2):
        for line in lines_of(ToyStyles(), n=4)[0]:
            found = torch.stack([level(column.pictures) for column in line[1:4]])
            torch.testing.assert_close(found, expected[:, None].expand(3, 4), atol=0.06, rtol=0)
    assert torch.pdist(expected[:, None]).min() > 0.1


def test_other_methods_stand_beside_it_with_the_same_styles():
    lines, _ = lines_of(ToyStyles(), ToyDrawn(), ToyPlain())
    line = lines[0]
    beside = [("ToyDrawn", "dark", "to bright", f"style {k}") for k in (1, 2, 3)]
    assert said(line)[5:] == [*beside, ("ToyPlain", "dark", "to bright")]
    for ours, theirs in zip(line[1:4], line[5:8], strict=True):
        assert torch.equal(ours.pictures, theirs.pictures)


def test_a_translation_that_another_method_lacks_is_left_out():
    class OneWay(ToyDrawn):
        def translations(self):
            return super().translations()[:1]

    lines, _ = lines_of(ToyDrawn(), OneWay())
    assert [len(line) for line in lines] == [7, 4, 4]


def test_attention_is_heat_over_the_input_in_grey():
    colour = torch.tensor([200, 80, 20], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 2, 4)
    made = heated(colour, torch.tensor([[[[0.0, 1.0]]]]))[0]
    assert (made[:, :, :2] == 100).all()
    # Three quarters of yellow, one of grey.
    assert made[:, 0, 3].tolist() == [216, 216, 25]


def test_attention_is_that_of_the_first_style():
    class StyleDecides(ToyStyles):
        def attention(self, x, translation):
            share = (x["style"] == fixed_styles(3, 2, SEED)[0]).all(1).float()
            return share[:, None, None, None].expand_as(x[translation.sources[0]])

    lines, _ = lines_of(StyleDecides())
    heat = lines[0][4].pictures
    assert (heat[:, 0] > heat[:, 2] + 100).all()


class Attributed(TinyDomains):
    """Images of one domain with attributes, as if aligned."""

    aligned = True

    def __init__(self, n_attributes=2):
        super().__init__()
        self.names = [f"a{k}" for k in range(n_attributes)]
        self.sets = {"images": ["grey"]}
        self.modalities = {name: Modality("image", 1) for name in ("grey", *self.names)}


class Flips(ToyStyles):
    def __init__(self, n_attributes=2):
        super().__init__()
        self.names = [f"a{k}" for k in range(n_attributes)]
        self.labels = []

    def translations(self):
        return [Translation(("grey",), (name,)) for name in self.names]

    def translate(self, x, translation):
        self.labels.append(x.get(ATTRIBUTES))
        return super().translate(x, translation)


def test_attributes_share_their_input_which_begins_every_line():
    data, method = Attributed(4), Flips(4).eval()
    x = {**TinyDomains().split("val").fetch(range(2)), ATTRIBUTES: torch.eye(2)}
    x["a0"] = x["bright"]
    lines = style_columns([("Flips", method)], data, x, 4, 0, truth=True)
    assert [len(line) for line in lines] == [12, 11]
    assert {said(line)[0] for line in lines} == {("input", "grey")}
    assert said(lines[0])[1] == ("truth", "a0")
    assert said(lines[0])[2] == ("Flips", "grey", "to a0", "style 1")
    assert said(lines[0])[7] == ("Flips", "grey", "to a1", "style 1")
    assert all(torch.equal(each, torch.eye(2)) for each in method.labels)
    assert sheet(lines).shape[2] == 12 * WIDTH + 2 * APART_PX


def test_lines_are_never_cut_and_never_too_wide():
    column = Column("input", ("a",), torch.zeros(1, 3, 16, 16, dtype=torch.uint8))
    row = sheet([[column]])
    three = sheet([[column] * 11] * 3)
    assert three.shape[1:] == (3 * row.shape[1], 11 * WIDTH)
    assert sheet([[column] * 6] * 3).shape[1:] == (row.shape[1], 18 * WIDTH)
    assert sheet([[column] * (MOST_COLUMNS + 3)]).shape[1] == row.shape[1]


def test_the_callback_draws_styles_and_loads_what_stands_beside_once(tmp_path, monkeypatch):
    loaded = []
    monkeypatch.setattr(
        sample_grid, "load_method", lambda release: loaded.append(release) or ToyDrawn().eval()
    )
    grid = SampleGrid(1, n=2, styles=3, beside={"other": "there"})
    fit(tmp_path, grid, method=ToyStyles, data=TinyDomains())
    assert loaded == ["there"]
    pictures = [pil_to_tensor(Image.open(tmp_path / "samples" / f"{i:08d}.png")) for i in range(3)]
    # Two lines of 1 + 3 + 1 + 3 columns beside each other, the third below.
    heading = 5 * LINE_PX + GAP_PX  # "where it may change" takes two lines
    shape = (3, 2 * (heading + 2 * WIDTH), 16 * WIDTH + 5 * APART_PX)
    assert all(each.shape == shape for each in pictures)
    first, last = 5 * WIDTH + 2 * APART_PX, 8 * WIDTH + 2 * APART_PX
    others = pictures[0][:, :, first:last], pictures[2][:, :, first:last]
    assert torch.equal(*others)  # the other run is over, this one goes on
    assert not torch.equal(pictures[0], pictures[2])


def test_labels_of_training_images_where_nothing_is_held_out(tmp_path):
    class NotHeldOut(Attributed):
        def has_split(self, name):  # noqa: ARG002
            return False

        def load_set(self, name):  # noqa: ARG002
            scenes = super().load_set("grey")
            scenes.fields[ATTRIBUTES] = torch.ones(len(scenes), 2)
            return scenes

        def setup(self, stage):
            pass

    class Untrained(Flips):
        def training_step(self, batch):
            super().training_step({"dark": {"dark": batch["images"]["grey"]}})

    method, _ = fit(tmp_path, SampleGrid(2, n=3), method=Untrained, data=NotHeldOut())
    assert all(torch.equal(each, torch.ones(3, 2)) for each in method.labels)
    assert method.labels


@pytest.mark.parametrize(
    ("method", "other", "sentence"),
    [
        (ToyStyles, ToyTranslator, "makes none of the translations of ToyStyles, such as dark_to"),
        (ToyStyles, torch.nn.Identity, "Identity cannot stand beside ToyStyles"),
    ],
)
def test_what_cannot_stand_beside(tmp_path, monkeypatch, method, other, sentence):
    monkeypatch.setattr(sample_grid, "load_method", lambda _: other())
    with pytest.raises(InputError, match=sentence):
        fit(tmp_path, SampleGrid(1, beside={"o": "there"}), method=method, data=TinyDomains())


def test_styles_are_at_least_one():
    with pytest.raises(InputError, match=r"samples\.styles is 0"):
        SampleGrid(styles=0)


class Coded(ToyStyles):
    def read_styles(self, images, domain):
        assert domain == "bright"
        return images.mean((1, 2, 3))[:, None].expand(-1, 2)

    def styles_of(self, noise):
        return 0.5 + 0 * noise

    def independent_styles_of(self, noise):
        return -0.5 + 0 * noise

    def translations(self):
        return super().translations()[:1]


def test_pairs_are_shown_in_their_own_style_and_what_is_drawn_beside_independent_draws():
    data = TinyDomains()
    data.sets = {"pairs": ["dark", "bright"]}
    x = data.split("val").fetch(range(2))
    (line,) = style_columns([("Coded", Coded().eval())], data, x, 3, SEED, truth=True)
    named = {column.lines[-1]: level(column.pictures) for column in line[2:]}
    own = x["bright"].mean((1, 2, 3)).tanh()
    torch.testing.assert_close(named.pop("own style"), own, atol=0.06, rtol=0)
    drawn = {f"style {k}": 0.5 for k in (1, 2, 3)} | {f"N(mean, sd) {k}": -0.5 for k in (1, 2)}
    for name, style in drawn.items():
        expected = torch.tensor(style).tanh().expand(2)
        torch.testing.assert_close(named[name], expected, atol=0.06, rtol=0)
    assert (named["where it may change"] > -1).all()
    assert said(line)[1] == ("truth", "bright")
