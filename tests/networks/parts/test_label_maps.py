"""Label maps by their ids: convolutions equal those of one-hot maps, borders and gradients too."""

import pytest
import torch
import torch.nn.functional as F

from lit_synth.errors import InputError
from lit_synth.networks.parts.label_maps import (
    LabelConv2d,
    LabelMap,
    edges_of,
    label_conv,
    start_size,
)

K = 5


def some_ids(n=2, height=6, width=7):
    ids = torch.randint(0, K, (n, height, width), generator=torch.Generator().manual_seed(0))
    ids[:, 0, 0], ids[0, -1, -1] = 255, 255
    return ids


def one_hot(ids):
    """Return (N, K, H, W) float64, all 0 where a pixel has no class."""
    return torch.stack([ids == c for c in range(K)], 1).double()


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (4, 2, 2), (1, 1, 0)])
def test_looking_up_columns_is_the_convolution_of_one_hot_labels(kernel, stride, padding):
    ids, rng = some_ids(), torch.Generator().manual_seed(1)
    weight = torch.randn(3, K, kernel, kernel, dtype=torch.float64, generator=rng)
    bias = torch.randn(3, dtype=torch.float64, generator=rng)
    expected = F.conv2d(one_hot(ids), weight.requires_grad_(), bias, stride, padding)
    upstream = torch.randn(expected.shape, dtype=torch.float64, generator=rng)
    (wanted,) = torch.autograd.grad(expected, weight, upstream)
    found = label_conv(ids, weight, bias, stride, padding)
    (gradient,) = torch.autograd.grad(found, weight, upstream)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradient, wanted)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (6, 7)])
def test_what_is_alike_everywhere_is_convolved_as_if_it_were_drawn_out(size):
    conv, values = LabelConv2d(K, 2, 3).double(), torch.randn(2, 2, dtype=torch.float64)
    ids = some_ids(2, *size)
    drawn_out = values[:, :, None, None].expand(-1, -1, *size)
    joined = torch.cat([one_hot(ids), drawn_out], 1)
    expected = F.conv2d(joined, conv.weight, conv.bias, padding=1)
    torch.testing.assert_close(conv(LabelMap(ids, values)), expected)
    torch.testing.assert_close(conv(LabelMap(ids, drawn_out)), expected)


def test_smaller_maps_take_the_nearest_pixel_as_interpolation_does():
    labels = LabelMap(some_ids(), torch.randn(2, 1, 6, 7)).at(3, 2)
    expected = F.interpolate(some_ids()[:, None].float(), (3, 2), mode="nearest")
    assert torch.equal(labels.ids, expected[:, 0].long())
    assert labels.extra.shape == (2, 1, 3, 2)


def test_edges_lie_on_both_sides_of_a_border():
    instances = torch.tensor([[[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 3, 3], [3, 3, 3, 3]]])
    edges = [[0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0]]
    assert edges_of(instances)[0, 0].tolist() == edges


def test_a_size_that_cannot_be_halved_is_refused():
    assert start_size(some_ids(2, 8, 4), 2, "Net") == (2, 1)
    with pytest.raises(InputError, match="multiples of 4 px"):
        start_size(some_ids(2, 6, 8), 2, "Net")
