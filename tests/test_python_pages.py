"""What the README and the methods' pages say about Python works as it stands there."""

import re
from pathlib import Path

import pytest
import tiny
import torch
import yaml
from jsonargparse import ArgumentParser
from PIL import Image
from torchvision.transforms.functional import to_tensor

from lit_synth.method import Method
from lit_synth.releases.format import save_release

ROOT = Path(__file__).parents[1]
SECTION = re.compile(r"## Use it from Python\n.*?```python\n(.*?)```", re.DOTALL)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "methods").glob("*.md"))]
DOMAINS = ["blue", "green", "red", "orange"]
SIDE = {"class_path": "SegNet", "init_args": {"in_channels": 3, "out_channels": 3, "tanh": True}}
SIDE["init_args"] |= {"blocks": [[4], [6]], "side": "skip"}
PATCHES = {"class_path": "PatchDiscriminator", "init_args": {"channels": 3, "widths": [4, 8]}}
IMAGE = {"kind": "image", "channels": 3, "loss": "l1"}
CODINGS = {"source_coding": IMAGE, "target_coding": IMAGE}
EDGES = {"source": "edges", "target": "image"}
BETWEEN_BAGS = {"a": "black", "b": "red"}
# Run of a snippet -> tiny run that stands in for it, and what it is called otherwise there.
RUNS = {
    "minegan": ("minegan", {}),
    "transfergan": ("transfergan", {}),
    "vae": ("vae", {}),
    "munit": ("translation/munit", BETWEEN_BAGS),
    "bicyclegan": ("translation/bicyclegan", EDGES),
    "step": ("translation/step", EDGES),
    "udit": ("translation/udit", BETWEEN_BAGS),
    "drit": ("translation/drit", BETWEEN_BAGS),
    "sdit": ("translation/sdit", {"domains": DOMAINS}),
    "stargan": ("translation/stargan", {"domains": DOMAINS}),
    "stargan_v2": ("translation/stargan_v2", {"domains": ["cat", "dog", "rabbit"]}),
    "remix": ("translation/remix", {"domains": ["cat", "dog", "rabbit"]}),
    "icgan": ("translation/icgan", {"domains": DOMAINS}),
    "mmnets_recolour": ("translation/mmnets_unpaired", {"domains": DOMAINS, "anchor": "blue"}),
    "segmenter": ("translation/segmenter", {"source": "image", "target": "mask"}),
    "seg2eye": ("translation/seg2eye", {}),
    "mmnets": ("translation/mmnets", {}),
    "spade": ("translation/spade", {}),
    "oasis": ("translation/oasis", {}),
    "inade": ("translation/inade", {}),
    "sisug": ("translation/sisug_mapper", {"source": "parts", "target": "image"}),
    "pix2pix": (
        "translation/pix2pix",
        {"source": "a", "target": "b", "generator": SIDE, **CODINGS},
    ),
    "cyclegan": (
        "translation/cyclegan",
        {
            "a": "a",
            "b": "b",
            "coding_a": IMAGE,
            "coding_b": IMAGE,
            **{f"generator_{way}": SIDE for way in ("ab", "ba")},
            **{f"discriminator_{each}": PATCHES for each in "ab"},
        },
    ),
}
OF_MODALITIES = {"stargan": ("translation/stargan_modalities", {})}  # configs/rooms has one too


def in_colour(settings):
    """Return settings of networks of grey images as of RGB, and of three labels as of four."""
    if isinstance(settings, list):
        return [in_colour(each) for each in settings]
    if not isinstance(settings, dict):
        return settings
    own = {"channels": 3} if settings.get("channels") == 1 else {}
    own |= {"n_labels": 4} if "n_labels" in settings else {}
    own |= {"out_dim": 4} if "out_dim" in settings else {}
    return {key: in_colour(each) for key, each in settings.items()} | own


def release(run, conf, overrides):
    """Write the run folder of a tiny method that was not trained, with its release."""
    model = yaml.safe_load((tiny.CONF / f"{conf}.yaml").read_text())["model"]
    model["init_args"] |= overrides
    if not {"mmnets", "seg2eye", "stargan_modalities"} & {Path(conf).stem}:
        model = in_colour(model)
    parser = ArgumentParser()
    parser.add_subclass_arguments(Method, "model")
    method = parser.instantiate(parser.parse_object({"model": model})).model
    networks, extra = method.release()
    save_release(run / "release", networks, "# tiny\n", extra)
    settings = {"seed_everything": 0, "prepare": None, "model": model}
    (run / "config.yaml").write_text(yaml.safe_dump(settings))


@pytest.fixture
def pictures(workdir):
    """The files that the snippets read."""
    rng = torch.Generator().manual_seed(0)
    for name in ("bag", "blue", *(f"photo{k}" for k in range(4))):
        pixels = torch.randint(256, (16, 16, 3), generator=rng).to(torch.uint8)
        Image.fromarray(pixels.numpy()).save(workdir / f"{name}.png")
    for k in range(4):
        depth = torch.randint(500, 5000, (16, 16), generator=rng).to(torch.uint16)
        Image.fromarray(depth.numpy()).save(workdir / f"depth{k}.png")
        ids = torch.randint(5, (16, 16), generator=rng).to(torch.uint8)
        Image.fromarray(ids.numpy()).save(workdir / f"labels{k}.png")
    return workdir


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_four_lines_make_four_images(page, pictures):
    (snippet,) = SECTION.findall(page.read_text())
    (name,) = re.findall(r'load_method\("runs/(\w+)/seed0/release"\)', snippet)
    known = OF_MODALITIES if page.stem == "stargan-modalities" else RUNS
    release(pictures / "runs" / name / "seed0", *known[name])
    lines = [line for line in snippet.split("\n\n")[-1].splitlines() if line]
    assert len(lines) <= 5
    exec(compile(snippet, str(page), "exec"), {})
    made = to_tensor(Image.open("made.png"))
    side = 16 + 2  # pixels and their frame, as torchvision lays images out in a row
    assert made.shape == (3, 16 + 4, 4 * side + 2)
    assert made[:, 2:-2, 2 : 2 + 16].std() > 0
