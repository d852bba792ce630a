"""SDIT's and StarGAN's networks: sizes, slices of the mapping, attention between two ends."""

import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode

from lit_synth.errors import InputError
from lit_synth.networks import (
    SDITDiscriminator,
    SDITGenerator,
    StarGANDiscriminator,
    StarGANGenerator,
)

SIZES = {"channels": 1, "n_labels": 2, "width": 4, "n_down": 1, "n_blocks_encoder": 1}
LABEL = torch.tensor([[0.0, 1], [1, 0]], dtype=torch.float64)


def parameters(network):
    return sum(p.numel() for p in network.parameters())


def generator(n_blocks=2, **settings):
    torch.manual_seed(0)
    settings = SIZES | {"n_blocks_attention": 1, "style_dim": 3} | settings
    network = SDITGenerator(n_blocks=n_blocks, **settings).double()
    for parameter in network.parameters():  # so that no norm's shift is 0
        parameter.data += 0.1 * torch.randn_like(parameter)
    return network


def batch():
    rng = torch.Generator().manual_seed(1)
    x = 2 * torch.rand(2, 1, 8, 8, generator=rng, dtype=torch.float64) - 1
    return x, LABEL, torch.randn(2, 3, generator=rng, dtype=torch.float64)


def normed(x):
    mean = x.mean(dim=(2, 3), keepdim=True)
    var = (x - mean).square().mean(dim=(2, 3), keepdim=True)
    return (x - mean) / (var + 1e-5).sqrt()


def affine(norm, x):
    return norm.weight[:, None, None] * normed(x) + norm.bias[:, None, None]


def test_published_sizes_at_128_px():
    with FakeTensorMode():
        make, judge = SDITGenerator(), SDITDiscriminator()
        x = torch.empty(2, 3, 128, 128)
        y = make(x, torch.empty(2, 5), torch.empty(2, 8))
        realness, logits, code = judge(y)
        a = make.attention_map(x, torch.empty(2, 5))
        e = make.encoder(x, torch.empty(2, 5))
        one, stargan = StarGANGenerator(), StarGANDiscriminator()
        scores, guess = stargan(one(x, torch.empty(2, 5)))
    assert (y.shape, a.shape, e.shape) == (x.shape, (2, 1, 128, 128), (2, 256, 32, 32))
    assert (realness.shape, logits.shape, code.shape) == ((2, 1, 2, 2), (2, 5), (2, 8))
    assert (scores.shape, guess.shape) == ((2, 1, 2, 2), (2, 5))
    # Thesis section 6.4: 256 and 4,096 units; F_rec goes from 32 units to 8.
    assert parameters(make.mapping) == 8 * 256 + 256 + 256 * 4096 + 4096
    assert make.mapping.body[2].out_features == 2 * sum(8 * [256])
    assert judge.code[2].in_features == 32
    # What StarGAN's code prints of its own.
    assert (parameters(one), parameters(stargan)) == (8_430_528, 44_762_048)


def test_each_conditional_norm_reads_a_slice_of_its_own():
    mapping, (_, _, z) = generator().mapping, batch()
    before = mapping(z)
    assert len(before) == 4
    wide = 2 * 8
    for k in range(len(before)):
        mapping.body[-1].bias.data[k * wide : (k + 1) * wide] += 1
        after = mapping(z)
        for j, (old, new) in enumerate(zip(before, after, strict=True)):
            for one, other in zip(old, new, strict=True):
                torch.testing.assert_close(other - one, torch.full_like(one, float(j == k)))
        before = after


@pytest.mark.parametrize("gamma", ["raw", "one_plus", "one"])
@pytest.mark.parametrize("beta", ["learned", "zero"])
def test_content_equals_its_plain_statement(gamma, beta):
    network, (x, label, z) = generator(gamma=gamma, beta=beta), batch()
    first, _, last = network.mapping.body
    numbers = F.linear(F.linear(z, first.weight, first.bias).relu(), last.weight, last.bias)
    e = network.encoder(x, label)
    h = e
    for b, block in enumerate(network.content.blocks):
        branch = h
        for j, conv in enumerate((block.conv1, block.conv2)):
            branch = F.conv2d(F.pad(branch, [1] * 4, mode="reflect"), conv.weight)
            start = (2 * b + j) * 16
            scale = {
                "raw": numbers[:, start : start + 8],
                "one_plus": 1 + numbers[:, start : start + 8],
                "one": torch.ones(2, 8),
            }[gamma]
            shift = numbers[:, start + 8 : start + 16] * (beta == "learned")
            branch = scale[:, :, None, None] * normed(branch) + shift[:, :, None, None]
            branch = branch.relu() if j == 0 else branch
        h = h + branch
    torch.testing.assert_close(network.content(e, network.mapping(z)), h)


def test_encoder_and_attention_equal_their_plain_statements():
    network, (x, label, _) = generator(), batch()
    conv, norm, _, down, norm_down, _, block = network.encoder.body
    planes = label[:, :, None, None].expand(2, 2, 8, 8)
    h = F.conv2d(torch.cat([x, planes], 1), conv.weight, padding=3)
    h = F.conv2d(affine(norm, h).relu(), down.weight, stride=2, padding=1)
    h = affine(norm_down, h).relu()

    def residual(h, block):
        conv1, norm1, _, conv2, norm2 = block.residual
        branch = affine(norm1, F.conv2d(h, conv1.weight, padding=1)).relu()
        return h + affine(norm2, F.conv2d(branch, conv2.weight, padding=1))

    e = residual(h, block)
    torch.testing.assert_close(network.encoder(x, label), e)
    block, conv, norm, _ = network.attention
    a = affine(norm, F.conv2d(residual(e, block), conv.weight, padding=1)).sigmoid()
    torch.testing.assert_close(network.attention(e), a)
    wide = F.interpolate(a, scale_factor=2, mode="bilinear")
    torch.testing.assert_close(network.attention_map(x, label), wide)


def test_combinations_equal_their_formulas():
    x, label, z = batch()
    for kind in ("text", "released", "pixel", "none"):
        network = generator(attention=kind)
        e = network.encoder(x, label)
        f, a = network.content(e, network.mapping(z)), network.attention(e)
        wide = F.interpolate(a, scale_factor=2, mode="bilinear")
        y = {
            "text": network.decoder((1 - a) * e + a * f),
            "released": network.decoder(a * f),
            "pixel": (1 - wide) * x + wide * network.decoder(f),
            "none": network.decoder(f),
        }[kind]
        torch.testing.assert_close(network(x, label, z), y)
        assert torch.equal(a, torch.ones_like(a)) == (kind == "none")


def test_fine_attention_is_a_map_of_the_images_size():
    network, (x, label, z) = generator(attention="fine"), batch()
    e = network.encoder(x, label)
    block, resize, up, _, conv, norm, _ = network.attention
    h = F.interpolate(block(e), scale_factor=2, mode="bilinear")
    h = F.conv2d(h, up.weight, up.bias, padding=1).relu()
    a = affine(norm, F.conv2d(h, conv.weight, padding=1)).sigmoid()
    assert (resize.scale_factor, a.shape) == (2, x[:, :1].shape)
    torch.testing.assert_close(network.attention_map(x, label), a)
    y = network.decoder(network.content(e, network.mapping(z)))
    torch.testing.assert_close(network(x, label, z), (1 - a) * x + a * y)


def checkerboard(size):
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return 1 - 2.0 * ((rows + columns) % 2).double().expand(1, 1, size, size)


def test_a_resized_map_of_one_value_has_no_checkerboard():
    flat = torch.ones(1, 8, 8, 8, dtype=torch.float64)
    found = {}
    for enlarge in ("transposed", "resized"):
        decoder = generator(enlarge=enlarge).decoder
        inner = decoder(flat)[:, :, 6:-6, 6:-6]  # beyond what the border reaches
        found[enlarge] = (inner * checkerboard(4)).mean().abs()
    assert found["resized"] < 1e-12 < 1e-4 < found["transposed"]


def test_a_code_guessed_from_changes_does_not_see_a_checkerboard_nor_the_input():
    rng = torch.Generator().manual_seed(2)
    x, other, change = torch.rand(3, 2, 1, 16, 16, generator=rng, dtype=torch.float64)
    board = checkerboard(16)
    for code_from, seen in (("trunk", True), ("change", False)):
        torch.manual_seed(0)
        judge = SDITDiscriminator(1, 16, 2, 3, 4, 2, code_from=code_from).double()
        code = judge(x + change, x).code
        assert torch.allclose(code, judge(x + change + board, x).code) != seen
        assert torch.allclose(code, judge(other + change, other).code) != seen
        assert not torch.allclose(code, judge(x, x).code)
        assert not torch.allclose(judge(x).realness, judge(x + board).realness)
    with pytest.raises(InputError, match="changes of 24 px: give images of a multiple of 16 px"):
        SDITDiscriminator(1, 24, 2, 3, 4, 2, code_from="change")


def test_without_attention_e_is_decoded_and_with_full_attention_f():
    x, label, z = batch()
    for kind in ("text", "pixel"):
        network = generator(attention=kind)
        norm = network.attention[-2]
        e = network.encoder(x, label)
        nothing = {"text": network.decoder(e), "pixel": x}[kind]
        everything = network.decoder(network.content(e, network.mapping(z)))
        for level, expected in ((-50, nothing), (50, everything)):
            norm.weight.data.zero_()
            norm.bias.data.fill_(level)
            torch.testing.assert_close(network(x, label, z), expected)
        assert not torch.allclose(nothing, everything)


def test_each_channel_may_have_a_map():
    network, (x, label, z) = generator(attention_per_channel=True), batch()
    e = network.encoder(x, label)
    a, f = network.attention(e), network.content(e, network.mapping(z))
    assert a.shape == e.shape
    torch.testing.assert_close(network(x, label, z), network.decoder((1 - a) * e + a * f))
    assert network.attention_map(x, label).shape == x.shape


@pytest.mark.parametrize(
    ("gamma", "beta"), [("raw", "zero"), ("one", "learned"), ("one_plus", "zero"), ("one", "zero")]
)
def test_z_shows_where_scale_or_shift_vary(gamma, beta):
    network, (x, label, z) = generator(gamma=gamma, beta=beta, norm_ends=False), batch()
    same = torch.equal(network(x, label, z), network(x, label, z + 1))
    assert same == ((gamma, beta) == ("one", "zero"))


def test_labels_join_as_planes_and_change_what_is_made():
    torch.manual_seed(0)
    network = StarGANGenerator(1, 2, width=4, n_down=1, n_blocks=1).double()
    x, label, _ = batch()
    assert not torch.allclose(network(x, label), network(x, label.flip(1)))
    with pytest.raises(InputError, match=r"2 images and labels \(2, 3\), but was built for 2"):
        network(x, torch.zeros(2, 3))
    with pytest.raises(InputError, match="9x9 px cannot be halved 1 times"):
        network(torch.zeros(2, 1, 9, 9), label)


def test_discriminator_heads_read_one_trunk():
    torch.manual_seed(0)
    judge = SDITDiscriminator(1, 16, 3, style_dim=5, width=4, n_layers=3).double()
    h = x = torch.randn(2, 1, 16, 16, dtype=torch.float64)
    for layer in judge.trunk[::2]:  # the last one's map is small, so that it is a matrix product
        h = F.leaky_relu(F.conv2d(h, layer.weight, layer.bias, stride=2, padding=1), 0.01)
    realness, logits, code = judge(x)
    torch.testing.assert_close(realness, F.conv2d(h, judge.realness.weight, padding=1))
    torch.testing.assert_close(logits, torch.einsum("nchw,kchw->nk", h, judge.label.weight))
    conv, _, hidden, _, last = judge.code
    maps = F.conv2d(h, conv.weight, conv.bias, padding=1).flatten(1)
    units = (maps @ hidden.weight.T + hidden.bias).relu()
    torch.testing.assert_close(code, units @ last.weight.T + last.bias)


def test_images_that_cannot_be_halved_so_often_are_refused():
    for network in (SDITDiscriminator, StarGANDiscriminator):
        with pytest.raises(InputError, match="6 layers cannot halve 96 px 6 times"):
            network(image_size=96)
