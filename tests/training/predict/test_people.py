"""`predict` in the style of people: folders of images, the way between two, what is refused."""

from pathlib import Path

import pytest
import tiny
import tiny_people
import torch
from bad_input import refused
from PIL import Image
from torchvision.transforms.functional import pil_to_tensor

from datamodules.files.modalities import write_modality
from lit_synth.cli import main
from lit_synth.inference.loading import load_method

CONFIG = ["--config", str(tiny.CONF / "translation" / "seg2eye.yaml")]
OUT = Path("runs/seg2eye/seed0/predictions")
PEOPLE = ["--reference", "ann", "ben"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a run, masks, and the images of two people, of whom one has more."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["fit", *CONFIG]) == 0
    x = tiny_people.batch(n=2, references=5)["pairs"]
    for name, mask in zip("pq", x["mask"], strict=True):
        write_modality(folder / "masks" / name, tiny_people.MODALITIES["mask"], mask)
    for who, number, n in (("ann", 0, 5), ("ben", 1, 2)):
        for k in range(n):
            image = x["references"][number, k]
            write_modality(folder / who / str(k), tiny_people.MODALITIES["image"], image)
    (folder / "empty").mkdir()
    return folder


@pytest.fixture(autouse=True)
def _there(home, monkeypatch):
    monkeypatch.chdir(home)


def predict(*words):
    return main(["predict", *CONFIG, "--input", "masks", *words])


def made(name):
    return pil_to_tensor(Image.open(OUT / f"{name}.png").convert("L"))[0].int()


def expected(references):
    """What the run's method makes of the masks in the style of a person's images."""
    method = load_method("runs/seg2eye/seed0/release")
    x = tiny_people.batch(n=2, references=5)["pairs"]
    given = {"mask": x["mask"], "references": references.expand(2, -1, -1, -1, -1)}
    return method.translate(given, method.translations()[0])[:, 0]


def assert_shows(name, image):
    grey = (image + 1) * 127.5
    assert (made(name) - grey).abs().max() <= 1


def test_each_folder_is_a_person():
    assert predict(*PEOPLE) == 0
    x = tiny_people.batch(n=2, references=5)["pairs"]
    for number, person in enumerate((x["references"][:1], x["references"][1:, :2])):
        for name, image in zip("pq", expected(person), strict=True):
            assert_shows(f"{name}_style{number + 1}", image)


def test_the_way_between_two_people_holds_the_mask():
    assert predict(*PEOPLE, "--interpolate", "3") == 0
    assert (OUT / "p_interpolation.png").is_file()
    with Image.open(OUT / "p_interpolation.gif") as moving:
        assert moving.format == "GIF"


def test_the_test_split_comes_with_its_own_people():
    assert main(["predict", *CONFIG, "--n_images", "2"]) == 0
    assert {path.name for path in OUT.glob("0*.png")} == {"000000.png", "000001.png"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "predict with --reference FOLDER"),
        (["--reference", "empty"], "empty"),
        (["--reference", "ann", "--interpolate", "3"], "names 1 people and --interpolate goes"),
        (["--reference", "ann", "--styles", "2"], "--styles draws styles"),
        ([*PEOPLE, "--interpolate", "1"], "--interpolate is 1: expected at least 2"),
    ],
)
def test_what_cannot_be_is_refused(capsys, words, sentence):
    assert sentence in refused(capsys, "predict", *CONFIG, "--input", "masks", *words)


def test_a_class_that_no_mask_may_have_is_named(capsys, home):
    ids = torch.full((16, 16), 7, dtype=torch.uint8)
    (home / "strange").mkdir(exist_ok=True)
    Image.fromarray(ids.numpy()).save(home / "strange" / "m.png")
    words = ["--input", "strange", "--reference", "ann"]
    assert "has the label 7" in refused(capsys, "predict", *CONFIG, *words, lines=2)
