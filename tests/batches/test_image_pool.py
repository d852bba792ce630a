"""The history of generated images, against a list of images."""

import pytest
import torch
from torch import nn

from lit_synth.batches.image_pool import ImagePool


def slow_pool(stored, size, image, draw):
    """Show one image as CycleGAN's pool does, with Python's own means; changes `stored`."""
    if len(stored) < size:
        stored.append(image)
        return image
    if draw[0] >= 0.5:
        return image
    index = int(draw[1] * size)
    old, stored[index] = stored[index], image
    return old


def test_shows_what_a_list_of_images_would():
    torch.manual_seed(0)
    pool, stored = ImagePool(5), []
    swapped = 0
    for _ in range(12):
        images, draws = torch.randn(3, 1, 2, 2), torch.rand(3, 2)
        expected = [slow_pool(stored, 5, *each) for each in zip(images, draws, strict=True)]
        shown = pool(images, draws)
        assert torch.equal(shown, torch.stack(expected))
        swapped += int((shown != images).flatten(1).any(dim=1).sum())
    assert swapped > 5
    assert torch.equal(pool.images, torch.stack(stored))


def test_the_last_place_is_the_last_that_a_draw_reaches():
    pool = ImagePool(50)
    pool(torch.arange(50.0).view(50, 1, 1, 1), torch.zeros(50, 2))
    largest = torch.tensor([[0.0, 1 - 2**-24]])
    assert pool(torch.full((1, 1, 1, 1), -1.0), largest).item() == 49


def test_no_graph_leads_through_it():
    image = torch.ones(1, 1, 2, 2, requires_grad=True)
    assert not ImagePool(2)(image, torch.zeros(1, 2)).requires_grad
    assert not ImagePool(0)(image, torch.zeros(1, 2)).requires_grad


def test_a_pool_of_none_shows_what_it_gets():
    images, pool = torch.randn(4, 1, 2, 2), ImagePool(0)
    assert torch.equal(pool(images, torch.zeros(4, 2)), images)
    assert torch.equal(pool(images + 1, torch.zeros(4, 2)), images + 1)


@pytest.mark.parametrize("seen", [0, 3, 9])
def test_its_state_goes_on_in_another_one(seen):
    torch.manual_seed(0)
    pools = nn.ModuleDict({"a": ImagePool(4)})
    for image in torch.randn(seen, 1, 1, 2, 2):
        pools["a"](image, torch.rand(1, 2))
    again = nn.ModuleDict({"a": ImagePool(4)})
    again.load_state_dict(pools.state_dict())
    for image in torch.randn(9, 1, 1, 2, 2):
        draws = torch.rand(1, 2)
        assert torch.equal(pools["a"](image, draws), again["a"](image, draws))
