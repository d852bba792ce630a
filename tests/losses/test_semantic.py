"""OASIS' losses and feature matching, pixel by pixel."""

import torch

from lit_synth.losses.semantic import (
    class_weights,
    fake_loss,
    feature_matching,
    labelmix_loss,
    segmentation_loss,
)

K = 4


def some(n=2, size=3):
    rng = torch.Generator().manual_seed(0)
    ids = torch.randint(0, K - 1, (n, size, size), generator=rng)  # the last class does not occur
    ids[0, 0, 0] = 255
    logits = torch.randn(n, K + 1, size, size, dtype=torch.float64, generator=rng)
    return ids, logits


def test_rare_classes_weigh_more():
    ids, _ = some()
    occurring = sorted(set(ids.flatten().tolist()) - {255})
    weights = class_weights(ids, K)
    for c in range(K):
        pixels = int((ids == c).sum())
        expected = ids.numel() / (len(occurring) * pixels) if pixels else 0.0
        torch.testing.assert_close(weights[c], torch.tensor(expected))


def test_where_each_pixel_has_a_class_the_weights_of_pixels_have_mean_1():
    ids = some()[0].clamp(max=2)
    torch.testing.assert_close(class_weights(ids, K)[ids].mean(), torch.tensor(1.0))


def test_segmentation_is_a_weighted_mean_over_pixels_one_class_higher():
    ids, logits = some()
    weights = torch.tensor([0.5, 2.0, 3.0, 0.0], dtype=torch.float64)
    total = 0.0
    for n, i, j in torch.cartesian_prod(*(torch.arange(side) for side in ids.shape)).tolist():
        c = int(ids[n, i, j])
        if c < K:
            probability = logits[n, :, i, j].exp() / logits[n, :, i, j].exp().sum()
            total -= weights[c] * probability[c + 1].log()
    torch.testing.assert_close(segmentation_loss(logits, ids, weights), total / ids.numel())


def test_made_pixels_are_of_the_first_class():
    _, logits = some()
    probabilities = logits.exp() / logits.exp().sum(1, keepdim=True)
    torch.testing.assert_close(fake_loss(logits), -probabilities[:, 0].log().mean())


def test_a_discriminator_of_pixels_alone_is_consistent_on_mixtures():
    real, fake = (torch.randn(2, 3, 4, 4, dtype=torch.float64) for _ in range(2))
    mask = torch.rand(2, 1, 4, 4) < 0.5

    def of_pixels(x):
        return torch.cat([x.square(), x.sin()], 1)

    mixed = torch.where(mask, real, fake)
    assert labelmix_loss(of_pixels(mixed), of_pixels(real), of_pixels(fake), mask) == 0
    blurred = of_pixels(mixed) + 1
    found = labelmix_loss(blurred, of_pixels(real), of_pixels(fake), mask)
    torch.testing.assert_close(found, torch.ones_like(found))


def test_features_match_layer_by_layer_without_the_scores():
    made = [[torch.ones(1, 2), torch.ones(1, 2), torch.ones(1)], [torch.ones(2)] * 3]
    true = [[torch.zeros(1, 2), 3 * torch.ones(1, 2), torch.zeros(1)], [torch.ones(2)] * 3]
    assert feature_matching(made, true) == (1 + 2) / 2
    assert feature_matching(made, true, first=1) == 2 / 2
