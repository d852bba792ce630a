"""The bundled GAN of portraits draws what its latents stand for."""

import pytest
import torch

from datamodules.worlds.portraits.world import Portraits
from lit_synth.releases.format import load_release

LEAST = {"hat": 0.95, "glasses": 0.9, "skin": 0.8}  # shares that are read as z says


@pytest.fixture(scope="module")
def source():
    return load_release("portraits-64")


@torch.no_grad()
def test_the_rules_of_the_world_read_what_was_asked_for(source):
    world, index = Portraits(64, rolls=True), torch.arange(8_000_000, 8_000_000 + 128)
    fields = world.render(index, {})
    z = torch.special.ndtri(fields["rolls"]).float()
    images = torch.cat([source.network("generator")(some) for some in z.split(32)])
    read = world.verdicts(images.clamp(-1, 1), fields)
    for name, share in LEAST.items():
        assert (read[name] == fields[name]).float().mean() >= share, name


def test_it_says_that_it_has_known_the_rolls(source):
    card = (source.folder / "card.md").read_text()
    assert "rolls" in card
    assert "no critic" in card
    assert list(source.networks) == ["generator"]
