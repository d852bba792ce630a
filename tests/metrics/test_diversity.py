"""Diversity over styles: against loops over pairs, and what it must not depend on."""

from itertools import combinations

import pytest
import torch

from lit_synth.metrics.diversity import (
    kept_difference,
    masked_mean,
    pairwise_distance,
    pixel_difference,
    shade_std,
)


def images(styles=5, channels=3, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(4, styles, channels, 6, 6, generator=rng, dtype=torch.float64) - 1


def pairs(x):
    return [(x[:, i], x[:, j]) for i, j in combinations(range(x.shape[1]), 2)]


def test_the_mean_over_all_pairs():
    x = images()
    found = [(a - b).abs().mean(1, keepdim=True) for a, b in pairs(x)]
    torch.testing.assert_close(pixel_difference(x), sum(found) / len(found))
    points = x.flatten(2)
    found = [(a - b).square().sum(1) for a, b in pairs(points)]
    torch.testing.assert_close(pairwise_distance(points), sum(found) / len(found))


@pytest.mark.parametrize("styles", [1, 4])
def test_what_ignores_the_style_has_none(styles):
    x = images(1).expand(-1, styles, -1, -1, -1)
    mask = torch.ones(4, 1, 6, 6)
    for found in (pairwise_distance(x.flatten(2)), pixel_difference(x), shade_std(x, mask)):
        torch.testing.assert_close(found, torch.zeros_like(found))


def test_the_order_of_styles_and_other_inputs_do_not_matter():
    x = images()
    torch.testing.assert_close(pixel_difference(x.flip(1)), pixel_difference(x))
    points = x.flatten(2)
    torch.testing.assert_close(pairwise_distance(points[:2].flip(1)), pairwise_distance(points)[:2])


def test_a_mask_counts_its_own_pixels_alone():
    values = torch.zeros(3, 1, 4, 4)
    values[..., :2] = 3.0
    mask = torch.zeros(3, 1, 4, 4, dtype=torch.uint8)
    mask[0, ..., 1:3] = 1
    mask[1, ..., 0] = 1
    found = masked_mean(values, mask)
    assert found[:2].tolist() == [1.5, 3.0]
    assert found[2].isnan()


def test_shades_are_of_the_luminance_inside():
    x, mask = images(6), torch.zeros(4, 1, 6, 6)
    mask[:, :, 2:4, 1:5] = 1
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64).view(3, 1, 1)
    for n in range(4):
        shades = [float(((s + 1) / 2 * weights).sum(0)[2:4, 1:5].mean()) for s in x[n]]
        mean = sum(shades) / 6
        expected = (sum((s - mean) ** 2 for s in shades) / 5) ** 0.5
        assert float(shade_std(x, mask)[n]) == pytest.approx(expected)
    grey = images(6, channels=1)
    torch.testing.assert_close(
        shade_std(grey, mask), shade_std(grey.expand(-1, -1, 3, -1, -1), mask)
    )


def test_kept_difference_counts_pairs_that_keep_the_content_in_means_of_pixels():
    images = torch.rand(3, 4, 3, 8, 8, generator=torch.Generator().manual_seed(5)) * 2 - 1
    mask = torch.zeros(3, 1, 8, 8)
    mask[:, :, :4] = 1  # the upper two of four patches
    kept = torch.tensor([[1, 1, 1, 1], [1, 0, 1, 1], [1, 0, 0, 0]]) == 1
    patches = images.reshape(3, 4, 3, 2, 4, 2, 4).double().mean((4, 6))[:, :, :, 0]
    for n, value in enumerate(kept_difference(images, mask, kept)):
        pairs = [
            float((patches[n, i] - patches[n, j]).abs().mean()) * float(kept[n, i] and kept[n, j])
            for i in range(4)
            for j in range(i)
        ]
        assert float(value) == pytest.approx(sum(pairs) / 6, rel=1e-5)
    assert kept_difference(images[:, :1], mask, kept[:, :1]).tolist() == [0, 0, 0]
