"""Written images: all of them, exact, and never over what is somebody else's."""

import json

import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.transforms.functional import pil_to_tensor
from toy_run import ToyGAN, trainer_of

from lit_synth.callbacks.prediction_writers import ImageWriter
from lit_synth.errors import InputError
from lit_synth.tensors.pixels import as_uint8


class Colourful(ToyGAN):
    def generate(self, batch):
        return super().generate(batch).expand(-1, 3, -1, -1)


def predict(folder, sizes=(4, 3), method=None, **settings):
    """Predict batches of these sizes and return what was generated."""
    torch.manual_seed(0)
    method, rng = method or ToyGAN(), torch.Generator().manual_seed(0)
    priors = [method.prior(n, rng) for n in sizes]
    trainer = trainer_of(folder.parent, ImageWriter(folder, **settings))
    trainer.predict(method, DataLoader(priors, batch_size=None), return_predictions=False)
    return torch.cat([images for _, images in method.generated])


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("kind", [ToyGAN, Colourful])
def test_files_in_order_and_exact(tmp_path, kind, capsys):
    out = tmp_path / "a" / "out"
    made = predict(out, method=kind())
    assert names(out) == [".predictions.json", *(f"{i:06d}.png" for i in range(7))]
    for i, image in enumerate(made):
        read = pil_to_tensor(Image.open(out / f"{i:06d}.png"))
        assert torch.equal(read, as_uint8(image[None])[0].expand_as(read))
        assert len(read) == (1 if kind is ToyGAN else 3)
    assert json.loads((out / ".predictions.json").read_text())["images"] == 7
    assert f"7 images in {out}" in capsys.readouterr().out


def test_an_earlier_prediction_is_replaced_as_a_whole(tmp_path):
    predict(tmp_path / "out", (5,))
    predict(tmp_path / "out", (2,))
    assert names(tmp_path / "out") == [".predictions.json", "000000.png", "000001.png"]


def test_other_content_is_refused_and_kept(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "000000.png").write_text("mine")
    with pytest.raises(InputError, match="is not empty, and what it holds was not written by"):
        predict(tmp_path / "out")
    assert (tmp_path / "out" / "000000.png").read_text() == "mine"


def test_overwrite_keeps_files_of_other_names(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "000009.png").write_text("mine")
    predict(tmp_path / "out", (2,), overwrite=True)
    assert names(tmp_path / "out") == [
        ".predictions.json",
        "000000.png",
        "000001.png",
        "000009.png",
    ]


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InputError, match="cannot be written"):
        predict(tmp_path / "out")


def test_images_that_are_not_finite(tmp_path):
    class Broken(ToyGAN):
        def generate(self, batch):
            return super().generate(batch) / 0

    with pytest.raises(InputError, match="not finite"):
        predict(tmp_path / "out", method=Broken())
