"""Identity: photos of one person lie together; VGG-Face as published, layer by layer."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from lit_synth.errors import InputError
from lit_synth.features import identity
from lit_synth.features.identity import VGGFace, learned_identity


def photos(n, seed=0, people=4, size=16):
    """Return photos of people who are a pattern each, in noise; their numbers have gaps."""
    who = torch.arange(n) % people
    rng = torch.Generator().manual_seed(7)
    faces = 2 * torch.rand(people, 3, size, size, generator=rng) - 1
    noise = torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(seed))
    return (0.6 * faces[who] + 0.2 * noise).clamp(-1, 1), 5 * who + 3


def test_photos_of_one_person_lie_together(tmp_path, monkeypatch):
    monkeypatch.setattr(identity, "RECIPE", replace(identity.RECIPE, iterations=60))
    embedding = learned_identity(*photos(80), tmp_path)
    x, y = photos(12, seed=1)[0], photos(12, seed=2)[0]
    assert (embedding.distance(x, y) < embedding.distance(x, y.roll(1, 0)) - 0.1).all()
    torch.testing.assert_close(embedding.distance(x, x), torch.zeros(12), atol=1e-6, rtol=0)
    assert embedding.name == "classifier of 4 people"


@pytest.mark.parametrize("given", [(12, 0, 4), (12, 0, 1)])
def test_too_few_photos_or_people_teach_nothing(tmp_path, given):
    assert learned_identity(*photos(*given), tmp_path) is None


WIDTHS = {1: 2, 2: 2, 3: 3, 4: 2, 5: 2}
DEPTHS = {1: 2, 2: 2, 3: 3, 4: 3, 5: 3}


@pytest.fixture(scope="module")
def state():
    """A narrow VGG-Face."""
    rng, tensors, c_in = torch.Generator().manual_seed(0), {}, 3
    for block, width in WIDTHS.items():
        for layer in range(1, DEPTHS[block] + 1):
            scale = 1 / (3 * c_in**0.5)
            weight = scale * torch.randn(width, c_in, 3, 3, generator=rng)
            tensors[f"conv{block}_{layer}.weight"] = weight
            tensors[f"conv{block}_{layer}.bias"] = torch.randn(width, generator=rng)
            c_in = width
    for name, (n_out, n_in) in {"fc6": (6, c_in * 49), "fc7": (5, 6), "fc8": (3, 5)}.items():
        tensors[f"{name}.weight"] = torch.randn(n_out, n_in, generator=rng) / n_in**0.5
        tensors[f"{name}.bias"] = torch.randn(n_out, generator=rng)
    return tensors


def test_vgg_face_written_out(tmp_path, state):
    torch.save(state, tmp_path / "face.pth")
    embedding = VGGFace(tmp_path / "face.pth")
    images = photos(2, size=224)[0]
    mean = torch.tensor([129.186279296875, 104.76238250732422, 93.59396362304688])
    x = (images + 1) / 2 * 255 - mean.view(3, 1, 1)
    for block in WIDTHS:
        for layer in range(1, DEPTHS[block] + 1):
            name = f"conv{block}_{layer}"
            x = F.relu(F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=1))
        x = F.max_pool2d(x, 2, 2)
    x = F.relu(F.linear(x.flatten(1), state["fc6.weight"], state["fc6.bias"]))
    x = F.relu(F.linear(x, state["fc7.weight"], state["fc7.bias"]))
    assert x.max() > 0
    torch.testing.assert_close(embedding.embed(images), x, rtol=1e-4, atol=1e-4)
    assert embedding.embed(photos(2)[0]).shape == (2, 5)


def test_weights_of_something_else(tmp_path, state):
    lacking = {name: each for name, each in state.items() if "fc7" not in name}
    torch.save(lacking, tmp_path / "lacking.pth")
    with pytest.raises(InputError, match=r"has no fc7\.weight"):
        VGGFace(tmp_path / "lacking.pth")
    (tmp_path / "text.pth").write_text("weights")
    with pytest.raises(InputError, match=r"cannot be read.*VGG-Face"):
        VGGFace(tmp_path / "text.pth")
