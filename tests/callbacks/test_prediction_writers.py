"""Written images: all of them, exact, and never over what is somebody else's."""

import json

import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.transforms.functional import pil_to_tensor
from toy_run import ToyGAN, trainer_of

from lit_synth.callbacks.prediction_writers import ImageWriter, _claim
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


# What an earlier prediction is said to have written.


@pytest.fixture
def victims(tmp_path):
    """Files beside the folder `out`, and a link in it that leads to them; all must survive."""
    out = tmp_path / "out"
    predict(out)
    (tmp_path / "elsewhere").mkdir()
    paths = [tmp_path / "victim.png", tmp_path / "elsewhere" / "victim.png"]
    for path in paths:
        path.write_text("mine")
    (out / "link").symlink_to(tmp_path / "elsewhere")
    yield out
    assert [path.read_text() for path in paths] == ["mine"] * 2


@pytest.mark.parametrize("name", ["../victim", "ABSOLUTE/victim", "a/../../victim", "link/victim"])
def test_names_that_lead_out_of_the_folder_are_refused(victims, name):
    absolute = name.replace("ABSOLUTE", str(victims.parent))
    mark = victims / ".predictions.json"
    mark.write_text(json.dumps({"names": ["000003", absolute]}))
    before = names(victims)
    with pytest.raises(InputError, match="give another folder with --out"):
        predict(victims)
    assert names(victims) == before


@pytest.mark.parametrize(
    "content", ["", "[", "[1]", '{"names": "ab"}', '{"names": [1]}', '{"names": [""]}', "[" * 10**5]
)
def test_a_damaged_mark_is_one_sentence_and_nothing_is_removed(tmp_path, content):
    out = tmp_path / "out"
    predict(out)
    (out / ".predictions.json").write_text(content)
    before = names(out)
    with pytest.raises(InputError, match="give another folder with --out"):
        predict(out)
    assert names(out) == before


def test_a_mark_that_is_a_link_is_refused(tmp_path):
    out = tmp_path / "out"
    predict(out)
    (out / ".predictions.json").rename(tmp_path / "mark.json")
    (out / ".predictions.json").symlink_to(tmp_path / "mark.json")
    with pytest.raises(InputError, match="give another folder with --out"):
        predict(out)
    assert (out / "000000.png").is_file()


def test_links_to_files_are_replaced_not_followed(victims):
    victim = victims.parent / "victim.png"
    for name in ("000001.png", "000002.partial", ".predictions.json.partial"):
        (victims / name).unlink(missing_ok=True)
        (victims / name).symlink_to(victim)
    predict(victims)
    assert not (victims / "000001.png").is_symlink()


def test_a_translation_replaces_a_link(tmp_path):
    out, victim = tmp_path / "out", tmp_path / "victim.png"
    victim.write_text("mine")
    _claim(out, overwrite=False, names=["a"])
    (out / "a.png").symlink_to(victim)
    _claim(out, overwrite=False, names=["b"])  # a.png is of the earlier one
    (out / "c.png").symlink_to(victim)
    _claim(out, overwrite=False, names=["c"])
    assert names(out) == [".predictions.json"]
    assert victim.read_text() == "mine"
