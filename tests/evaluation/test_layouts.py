"""Layouts are judged by parts: an image that is j has j's, one that is i has i's colours."""

import pytest
import tiny
import torch
import yaml

from lit_synth.errors import InputError
from lit_synth.evaluation.layouts import LayoutMeasures
from lit_synth.networks.parts.rebuilding import spec_of
from lit_synth.releases.format import save_release

pytestmark = pytest.mark.usefixtures("workdir")


class Halves:
    """Images of two halves whose place the layout sets, and whose colours the style."""

    device = torch.device("cpu")

    def __init__(self, result):
        self.result = result

    def prior(self, n, rng):
        return {"z": torch.rand(n, 2, generator=rng), "layout": torch.rand(n, 2, generator=rng)}

    def layouts(self, z):
        return drawn(z, z), (z[:, :1, None] > 0.5).long()

    def generate(self, batch):
        style, layout = {"both": "zl", "copy": "zz", "layout": "ll"}[self.result]
        names = {"z": "z", "l": "layout"}
        return drawn(batch[names[style]], batch[names[layout]])


def drawn(style, layout):
    """Return images (N, 3, 8, 8): red the right or the left half, as bright as the style."""
    left = (torch.arange(8) < 4)[None, None, None].expand(len(style), 1, 8, 8)
    first = torch.where(layout[:, :1, None, None] > 0.5, left, ~left).float()
    red, rest = first * (0.2 + 0.8 * style[:, 1, None, None, None]), torch.zeros_like(first)
    return torch.cat([red, rest, (1 - first) * (0.2 + 0.8 * style[:, 1, None, None, None])], 1)


@pytest.fixture
def measures(monkeypatch):
    segmenter, _ = tiny.build("translation/segmenter")
    save_release(
        "judge", segmenter.release()[0], "# judge\n", method=tiny_settings(segmenter.network)
    )
    found = LayoutMeasures("judge", torch.device("cpu"))
    monkeypatch.setattr(found, "_read", lambda images: (images[:, 0] > 0).long())
    return found


def tiny_settings(network):
    settings = yaml.safe_load((tiny.CONF / "translation" / "segmenter.yaml").read_text())
    arguments = {**settings["model"]["init_args"], "network": spec_of(network)}
    return {"class_path": "lit_synth.methods.segmenter.Segmenter", "init_args": arguments}


@pytest.mark.parametrize(
    ("result", "miou", "colour"), [("both", 1.0, 1.0), ("copy", None, 1.0), ("layout", 1.0, 0.0)]
)
def test_it_tells_whose_layout_and_whose_colours_an_image_has(measures, result, miou, colour):
    values = measures.measure(Halves(result), 64, 16, seed=0)
    copy = values["layout/miou_copy"]
    assert values["layout/miou"] == pytest.approx(copy if miou is None else miou)
    assert copy < 0.7
    assert values["layout/colour"] == pytest.approx(colour)
    if result == "copy":
        assert values["layout/miou_style"] == 1


def test_a_release_of_something_else_is_refused():
    with pytest.raises(InputError):
        LayoutMeasures("sources/classifier", torch.device("cpu"))
