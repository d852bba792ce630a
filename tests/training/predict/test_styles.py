"""`predict` in many styles: drawn, read from references, on the way between two; and attributes."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from tiny_domains import TinyDomains, domain
from torchvision.transforms.functional import pil_to_tensor
from toy_styles import ToyDrawn

from datamodules.files.modalities import write_modality
from datamodules.items.scenes import MemoryScenes
from lit_synth.batches.labels import ATTRIBUTES
from lit_synth.cli import main
from lit_synth.contracts.translator import Translation
from lit_synth.pictures.sheet import APART_PX, GAP_PX, TILE_PX

OUT = Path("runs/toy/seed0/predictions")
NAMES = ("a", "b", "sub/c")
WIDTH = 16 * (TILE_PX // 16) + 2 * GAP_PX
TO_DARK = ["--target", "dark", "--input", "inputs"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of the toy, three inputs, and references of three levels."""
    folder = tmp_path_factory.mktemp("trained")
    settings = {
        "model": {"class_path": "toy_styles.ToyStyles"},
        "data": {"class_path": "tiny_domains.TinyDomains"},
        "trainer": {"accelerator": "cpu", "logger": False},
        "evaluate": {"every_n_iterations": None},
        "samples": {"every_n_iterations": None},
        "runs_dir": str(folder / "runs"),
    }
    (folder / "toy.yaml").write_text(yaml.safe_dump(settings))
    assert main(["fit", "--config", str(folder / "toy.yaml")]) == 0
    modality = domain("bright", 1).modalities["bright"]
    for name, image in zip(NAMES, domain("bright", 3).fetch(range(3))["bright"], strict=True):
        write_modality(folder / "inputs" / name, modality, image)
    for name, level in (("low", -0.8), ("middle", 0.0), ("high", 0.8)):
        write_modality(folder / "references" / name, modality, torch.full((1, 16, 16), level))
    return folder


@pytest.fixture
def run(trained, tmp_path, monkeypatch):
    """A copy of all that, in the current directory."""
    for name in ("runs", "inputs", "references"):
        shutil.copytree(trained / name, tmp_path / name)
    settings = yaml.safe_load((trained / "toy.yaml").read_text()) | {"runs_dir": "runs"}
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def predict(*arguments):
    return main(["predict", "--config", "toy.yaml", *map(str, arguments)])


def with_method(name, module=__name__, data=None):
    settings = yaml.safe_load(Path("toy.yaml").read_text())
    settings["model"]["class_path"] = f"{module}.{name}"
    if data:
        settings["data"]["class_path"] = f"{__name__}.{data}"
    Path("toy.yaml").write_text(yaml.safe_dump(settings))


def written(out=OUT):
    return sorted(str(path.relative_to(out)) for path in Path(out).rglob("*") if path.is_file())


def level(path):
    return pil_to_tensor(Image.open(path)).float().mean().item() / 127.5 - 1


def levels(*stems):
    return [level(OUT / f"{stem}.png") for stem in stems]


@pytest.mark.usefixtures("run")
def test_one_style_by_default_under_the_names_of_the_inputs():
    assert predict(*TO_DARK) == 0
    assert written() == [".predictions.json", "a.png", "b.png", "preview.png", "sub/c.png"]
    one = levels(*NAMES)
    assert torch.pdist(torch.tensor(one)[:, None]).min() > 0.05  # each input has its own
    assert predict(*TO_DARK) == 0
    assert levels(*NAMES) == one  # the seed decides
    assert predict(*TO_DARK, "--seed_everything", 1, "--run_id", "seed0") == 0
    assert levels(*NAMES) != one


def test_several_styles(run):
    assert predict(*TO_DARK, "--styles", 3) == 0
    files = [f"{name}_style{k}.png" for name in NAMES for k in (1, 2, 3)]
    assert written() == [".predictions.json", *files[:6], "preview.png", *files[6:]]
    assert len(set(levels(*(f"a_style{k}" for k in (1, 2, 3))))) == 3
    # An input's styles do not depend on the inputs beside it.
    before = levels("a_style2", "b_style3")
    (run / "inputs/sub/c.png").unlink()
    assert predict(*TO_DARK, "--styles", 3) == 0
    assert levels("a_style2", "b_style3") == before
    assert "sub/c_style1.png" not in written()
    preview = Image.open(OUT / "preview.png")
    assert preview.width == 4 * WIDTH + APART_PX
    assert json.loads((OUT / ".predictions.json").read_text())["styles"] == [
        "style 1", "style 2", "style 3"
    ]  # fmt: skip
    assert predict(*TO_DARK) == 0  # replaces all of them
    assert written() == [".predictions.json", "a.png", "b.png", "preview.png"]


@pytest.mark.usefixtures("run")
def test_the_style_of_a_reference():
    assert predict(*TO_DARK, "--reference", "references/high.png") == 0
    assert levels(*NAMES) == pytest.approx([0.8] * 3, abs=0.07)
    assert predict(*TO_DARK, "--reference", "references/low.png", "references/high.png") == 0
    assert levels("b_style1", "b_style2") == pytest.approx([-0.8, 0.8], abs=0.07)


@pytest.mark.usefixtures("run")
def test_a_folder_of_references_in_the_order_of_its_names():
    assert predict(*TO_DARK, "--reference", "references") == 0
    made = levels(*(f"a_style{k}" for k in (1, 2, 3)))
    assert made == pytest.approx([0.8, -0.8, 0], abs=0.07)  # high, low, middle
    facts = json.loads((OUT / ".predictions.json").read_text())
    assert facts["styles"] == ["high", "low", "middle"]


@pytest.mark.usefixtures("run")
def test_from_one_reference_to_another(capsys):
    ends = ["--reference", "references/low.png", "references/high.png"]
    assert predict(*TO_DARK, *ends, "--interpolate", 5) == 0
    files = [f"{name}_interpolation.{kind}" for name in NAMES for kind in ("gif", "png")]
    assert written() == [".predictions.json", *files[:4], "preview.png", *files[4:]]
    strip = pil_to_tensor(Image.open(OUT / "a_interpolation.png").convert("L"))
    assert strip.shape[-1] == 6 * WIDTH + APART_PX
    tiles = strip[0, -WIDTH:, WIDTH + APART_PX :].float().view(WIDTH, 5, WIDTH)[20:-20, :, 20:-20]
    found = tiles.mean((0, 2)) / 127.5 - 1
    way = torch.linspace(-1, 1, 5) * torch.tensor(0.8).atanh()
    torch.testing.assert_close(found, way.tanh(), atol=0.07, rtol=0)
    gif = Image.open(OUT / "a_interpolation.gif")
    assert gif.n_frames == 8  # there and back
    assert gif.info["loop"] == 0
    assert "3 translations in" in capsys.readouterr().out
    assert predict(*TO_DARK) == 0
    assert written() == [".predictions.json", "a.png", "b.png", "preview.png", "sub/c.png"]


@pytest.mark.usefixtures("run")
def test_from_one_drawn_style_to_another():
    assert predict(*TO_DARK, "--styles", 2) == 0
    ends = levels("a_style1", "a_style2")
    assert predict(*TO_DARK, "--interpolate", 3) == 0
    gif = Image.open(OUT / "a_interpolation.gif")
    found = []
    for frame in (0, 2):
        gif.seek(frame)
        found.append(pil_to_tensor(gif.convert("L")).float().mean().item() / 127.5 - 1)
    assert found == pytest.approx(ends, abs=0.02)


@pytest.mark.usefixtures("run")
def test_a_target_is_enough_where_one_translation_has_it(capsys):
    assert predict("--target", "dark", "--n_images", 2) == 0
    facts = json.loads((OUT / ".predictions.json").read_text())
    assert facts["translation"] == "bright_to_dark"
    assert predict("--target", "bright") == 2
    assert "say what to translate with --source and --target" in capsys.readouterr().err
    assert predict("--source", "grey", "--n_images", 1) == 0
    assert predict("--source", "grey", "--target", "bright", "--n_images", 1) == 0
    facts = json.loads((OUT / ".predictions.json").read_text())
    assert facts["translation"] == "grey_to_bright"


@pytest.mark.usefixtures("run")
def test_one_after_another_in_the_same_style():
    chain = ["--source", "grey", "--via", "bright", "--target", "dark"]
    reference = ["--reference", "references/high.png"]
    assert predict(*chain, *reference, "--n_images", 1) == 0
    assert levels("000000") == pytest.approx([0.8], abs=0.07)


@pytest.mark.parametrize(
    ("method", "arguments", "sentence"),
    [
        ("ToyPlain", ["--styles", 2], "--styles is for methods that make many results of one"),
        ("ToyPlain", ["--interpolate", 4], "--interpolate is for methods that make many"),
        ("ToyPlain", ["--reference", "references"], "--reference is for methods that make many"),
        ("ToyDrawn", ["--reference", "references"], "of an image, which ToyDrawn cannot read"),
        ("ToyStyles", ["--styles", 0], "--styles is 0: expected at least 1"),
        ("ToyStyles", ["--interpolate", 1], "--interpolate is 1: expected at least 2"),
        (
            "ToyStyles",
            ["--interpolate", 3, "--reference", "references"],
            "--reference names 3 images and --interpolate goes from one to another",
        ),
        ("ToyStyles", ["--styles", 2, "--reference", "references"], "give one of both"),
        ("ToyStyles", ["--styles", 2, "--interpolate", 3], "give one of both"),
        ("ToyStyles", ["--reference", "nowhere.png"], "nowhere.png cannot be read"),
        ("ToyStyles", ["--reference", "toy.yaml"], "toy.yaml"),
    ],
)
def test_what_is_refused(run, method, arguments, sentence, capsys):
    with_method(method, "toy_styles")
    assert predict(*TO_DARK, *arguments) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said
    assert not (run / OUT).exists()


@pytest.mark.usefixtures("run")
def test_a_single_style_of_a_method_without_any():
    with_method("ToyPlain", "toy_styles")
    assert predict(*TO_DARK, "--styles", 1) == 0
    assert levels("a") == pytest.approx([0], abs=0.07)


class Attributed(TinyDomains):
    """Images with two attributes, which are modalities too."""

    def __init__(self):
        super().__init__()
        self.modalities = dict.fromkeys(("image", "hat", "smile"), self.modalities["grey"])

    def load_held_out(self, name):
        stored = domain("grey", 4).stored["grey"]
        labels = torch.tensor([[0.0, 1.0], [1, 0], [0, 0], [1, 1]])
        known = {"image": self.modalities["image"]}
        ids = [f"{name}-{i}" for i in range(4)]
        return MemoryScenes(known, {"image": stored}, ids, {ATTRIBUTES: labels})


class Flips(ToyDrawn):
    """Makes images of the new label: bright is 1."""

    def translations(self):
        return [Translation(("image",), (name,)) for name in ("hat", "smile")]

    def level(self, x, source):
        if ATTRIBUTES not in x:
            return source.new_full((len(source),), 0.8)
        return 0.8 - 1.6 * x[ATTRIBUTES][:, 0]


@pytest.mark.usefixtures("run")
def test_an_attribute_is_flipped_where_labels_are_known_and_set_in_a_folder(capsys):
    with_method("Flips", data="Attributed")
    assert predict("--target", "hat") == 0
    made = levels(*(f"{i:06d}" for i in range(4)))
    assert made == pytest.approx([0.8, -0.8, 0.8, -0.8], abs=0.07)
    assert predict("--source", "image", "--target", "hat", "--input", "inputs") == 0
    assert levels(*NAMES) == pytest.approx([0.8] * 3, abs=0.07)
    assert predict("--source", "image") == 2
    assert "the method has image, hat, smile." in capsys.readouterr().err


@pytest.mark.usefixtures("workdir")
def test_generators_have_no_styles(capsys):
    config = Path(__file__).parents[2] / "conf" / "wgan_gp.yaml"
    assert main(["predict", "--config", str(config), "--styles", "2"]) == 2
    assert "--styles is for methods that translate" in capsys.readouterr().err
