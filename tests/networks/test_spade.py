"""SPADE, OASIS and INADE: layers against plain statements in float64, counts as published."""

import pytest
import torch
import torch.nn.functional as F
from spade_plainly import drawn, one_hot, spade_norm, spectral

from lit_synth.errors import InputError
from lit_synth.networks import (
    INADEGenerator,
    OASISDiscriminator,
    OASISGenerator,
    SPADEDiscriminator,
    SPADEEncoder,
    SPADEGenerator,
)
from lit_synth.networks.inade import INADENorm
from lit_synth.networks.parts.label_maps import LabelMap
from lit_synth.networks.parts.rebuilding import WithoutRandomStart
from lit_synth.networks.spade import SPADEBlock

K = 5


@pytest.fixture(autouse=True)
def in_float64():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def some_ids(n=2, size=8):
    ids = torch.randint(0, K, (n, size, size))
    ids[:, 0, 0] = 255
    return ids


@pytest.mark.parametrize("out", [3, 4])
def test_a_block_is_its_plain_statement(out):
    block, ids = drawn(SPADEBlock(4, out, K, 0, hidden=3)), some_ids()
    x, m = torch.randn(2, 4, 8, 8), one_hot(ids, K)
    h = F.leaky_relu(spade_norm(block.norm1, x, m), 0.2)
    h = spectral(block.conv1, h, 1)
    h = spectral(block.conv2, F.leaky_relu(spade_norm(block.norm2, h, m), 0.2), 1)
    shortcut = x
    if out != 4:
        shortcut = spectral(block.shortcut, spade_norm(block.norm_shortcut, x, m), 0)
    torch.testing.assert_close(block(x, LabelMap(ids)), shortcut + h, rtol=1e-6, atol=1e-6)


def test_a_pixel_of_no_class_is_one_more_class_where_asked():
    ids = some_ids()
    more = SPADEGenerator(K, unknown=True, width=2, multiples=(2, 2, 2, 1), hidden=2).eval()
    six = SPADEGenerator(K + 1, width=2, multiples=(2, 2, 2, 1), hidden=2).eval()
    six.load_state_dict(more.state_dict())
    assert torch.equal(more(LabelMap(ids)), six(LabelMap(ids.clamp(max=K))))
    of_more = SPADEDiscriminator(K, unknown=True, widths=(2, 2)).eval()
    of_six = SPADEDiscriminator(K + 1, widths=(2, 2)).eval()
    of_six.load_state_dict(of_more.state_dict())
    x = torch.randn(2, 3, 8, 8)
    seen = of_more(x, LabelMap(ids)), of_six(x, LabelMap(ids.clamp(max=K)))
    for one, other in zip(*seen, strict=True):
        assert torch.equal(one[-1], other[-1])


def test_discriminators_see_labels_edges_and_images_at_each_scale():
    net = drawn(SPADEDiscriminator(K, edges=True, widths=(3, 4, 4), scales=3))
    ids, images, edges = some_ids(2, 16), torch.randn(4, 3, 16, 16), torch.rand(2, 1, 16, 16)
    joined = torch.cat([one_hot(ids, K), edges], 1).repeat(2, 1, 1, 1)
    x = torch.cat([joined, images], 1)
    for scale, features in zip(net.scales, net(images, LabelMap(ids, edges)), strict=True):
        h = F.leaky_relu(F.conv2d(x, scale.first.weight, scale.first.bias, 2, 2), 0.2)
        torch.testing.assert_close(features[0], h)
        assert len(features) == 4
        assert features[-1].shape[:2] == (4, 1)
        x = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)


def test_noise_may_differ_from_pixel_to_pixel():
    net = OASISGenerator(K, width=2, multiples=(2, 2, 1), hidden=3, noise_dim=2).eval()
    ids, z = some_ids(), torch.randn(2, 2)
    alike = z[:, :, None, None].expand(-1, -1, 8, 8)
    torch.testing.assert_close(net(ids, z), net(ids, alike))
    alike = alike.clone()
    alike[:, :, :4] = 0
    assert not torch.allclose(net(ids, z), net(ids, alike))


def test_without_noise_and_tanh_it_maps_labels_to_logits():
    net = OASISGenerator(K, out_channels=7, width=2, multiples=(2, 1), noise_dim=None, tanh=False)
    assert net(some_ids()).shape == (2, 7, 8, 8)
    with pytest.raises(InputError, match="got some noise"):
        net(some_ids(), torch.randn(2, 3))


def test_the_unet_is_its_plain_statement():
    net, x = drawn(OASISDiscriminator(K, widths=(3, 3, 4), last_width=2)), torch.randn(2, 3, 8, 8)
    skips, h = [], x
    for i, block in enumerate(net.down):
        y = spectral(block.conv1, h if i == 0 else F.leaky_relu(h, 0.2), 1)
        y = F.avg_pool2d(spectral(block.conv2, F.leaky_relu(y, 0.2), 1), 2)
        shortcut = spectral(block.shortcut, h, 0) if block.learns_shortcut else h
        h = y + F.avg_pool2d(shortcut, 2)
        skips.append(h)
    skips.pop()
    for i, block in enumerate(net.up):
        h = h if i == 0 else torch.cat([skips.pop(), h], 1)
        up = F.interpolate(F.leaky_relu(h, 0.2), scale_factor=2)
        y = spectral(block.conv2, F.leaky_relu(spectral(block.conv1, up, 1), 0.2), 1)
        larger = F.interpolate(h, scale_factor=2)
        h = y + (spectral(block.shortcut, larger, 0) if block.learns_shortcut else larger)
    expected = F.conv2d(h, net.head.weight, net.head.bias)
    torch.testing.assert_close(net(x), expected, rtol=1e-6, atol=1e-6)
    assert expected.shape == (2, 1 + K, 8, 8)


def test_instances_have_scales_and_shifts_of_their_own():
    norm, ids = INADENorm(3, K, noise_dim=2), some_ids()
    torch.nn.init.normal_(norm.bias)
    instances, noise = torch.randint(0, 4, ids.shape), torch.randn(2, 4, 2, 2)
    x = torch.randn(2, 3, 8, 8)
    found = norm(x, torch.stack([ids, instances]), noise)
    for n, i, j in ((0, 3, 4), (1, 7, 7), (1, 2, 0)):
        c, drawn_for = ids[n, i, j], noise[n, instances[n, i, j]]
        scale = norm.weight[c, :, 0] * norm.of_noise(drawn_for[0]) + norm.bias[c, :, 0]
        shift = norm.weight[c, :, 1] * norm.of_noise(drawn_for[1]) + norm.bias[c, :, 1]
        torch.testing.assert_close(found[n, :, i, j], scale * x[n, :, i, j] + shift)
    assert not found[:, :, 0, 0].any()


def test_an_instance_changes_its_own_pixels_alone_in_a_norm():
    norm, ids = INADENorm(3, K, noise_dim=2), some_ids()
    instances, noise = torch.randint(0, 4, ids.shape), torch.randn(2, 4, 2, 2)
    x, other = torch.randn(2, 3, 8, 8), noise.clone()
    other[:, 1] += 1
    maps = torch.stack([ids, instances])
    changed = (norm(x, maps, noise) != norm(x, maps, other)).any(1)
    assert torch.equal(changed, (instances == 1) & (ids < K))


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_numbers_of_parameters_are_those_of_the_published_files():
    with torch.device("meta"), WithoutRandomStart():
        assert parameters(SPADEGenerator(150, unknown=True)) == 96_492_483
        assert parameters(SPADEGenerator(34, unknown=True, edges=True)) == 93_048_003
        assert parameters(SPADEDiscriminator(182, unknown=True, edges=True)) == 5_904_514
        assert parameters(SPADEEncoder()) == 10_463_424
        assert parameters(OASISGenerator(150, unknown=True)) == 74_314_691
        assert parameters(OASISDiscriminator(150, unknown=True)) == 22_258_904


def test_inade_makes_images_of_styles():
    net = INADEGenerator(
        K, image_size=8, width=2, multiples=(2, 2, 2, 1), latent_dim=3, noise_dim=2
    )
    assert net.style_dim == 3 + 2 * 2 * K
    images = net(some_ids(), torch.randn(2, net.style_dim))
    assert images.shape == (2, 3, 8, 8)
    assert images.abs().max() <= 1
    with pytest.raises(InputError, match="got a map of instances"):
        net(some_ids(), torch.randn(2, net.style_dim), some_ids())
