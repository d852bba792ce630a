import urllib.error

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from lit_synth.errors import InputError
from lit_synth.networks import ImageDecoder, SegNet, SegNetDecoder, SegNetEncoder
from lit_synth.networks.parts.codes import unpool
from lit_synth.networks.parts.norms import BatchNorm
from lit_synth.networks.parts.pretrained import IMAGENET_MEAN, IMAGENET_STD, VGG16
from lit_synth.networks.segnet import VGG16_CONVS, load_vgg16

BLOCKS = [[4], [8, 8], [6, 6]]

# Input and output channels of every convolution in the order of the thesis's tables.
TABLE_A3 = [(64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 256)]
TABLE_A3 += [(256, 512)] + 5 * [(512, 512)]
TABLE_A4 = 5 * [(512, 512)] + [(512, 256), (256, 256), (256, 256), (256, 128), (128, 128)]
TABLE_A4 += [(128, 64), (64, 64)]
TABLE_A5 = [(512, 512), (512, 256), (256, 128), (128, 64), (64, 3)]
PLANES = [(64, 256), (128, 128), (256, 64), (512, 32), (512, 16)]  # channels, size before a pool


def convs(network):
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    return [(layer.in_channels, layer.out_channels) for layer in layers]


def parameters(network):
    return sum(p.numel() for p in network.parameters())


def with_norms(pairs):
    return sum(9 * c_in * c_out + 2 * c_out for c_in, c_out in pairs)


def test_at_256_px_layers_and_shapes_are_the_tables():
    with FakeTensorMode():
        encoder, decoder = SegNetEncoder(14, VGG16), SegNetDecoder(14, VGG16)
        image_decoder = ImageDecoder(3, [512, 512, 256, 128, 64])
        code = encoder(torch.empty(6, 14, 256, 256))
        assert code.h.shape == (6, 512, 8, 8)
        assert [x.shape for x in code.skips] == [(6, c, size, size) for c, size in PLANES]
        halves = [(6, c, size // 2, size // 2) for c, size in PLANES]
        assert [x.shape for x in code.indices] == halves
        assert decoder(code).shape == (6, 14, 256, 256)
        assert image_decoder(code).shape == (6, 3, 256, 256)
    assert convs(encoder) == [(14, 64), *TABLE_A3]
    assert convs(decoder) == [*TABLE_A4, (64, 14)]
    assert convs(image_decoder) == TABLE_A5
    assert parameters(encoder) == with_norms([(14, 64), *TABLE_A3])
    assert parameters(decoder) == with_norms(TABLE_A4) + 9 * 64 * 14 + 14
    assert parameters(image_decoder) == with_norms(TABLE_A5[:-1]) + 9 * 64 * 3 + 3


def test_unpooling_puts_maxima_back_in_place():
    torch.manual_seed(0)
    encoder = SegNetEncoder(3, BLOCKS)
    code = encoder(torch.randn(2, 3, 16, 16))
    for skip, positions in zip(code.skips, code.indices, strict=True):
        assert not positions.is_floating_point()
        restored = unpool(F.max_pool2d(skip, 2), positions)
        windows = [F.unfold(x.flatten(0, 1)[:, None], 2, stride=2) for x in (skip, restored)]
        for before, after in zip(*(x.transpose(1, 2).reshape(-1, 4) for x in windows), strict=True):
            expected = torch.zeros(4)
            expected[before.argmax()] = before.max()
            assert torch.equal(after, expected)


@pytest.mark.parametrize("side", ["indices", "skip", "none"])
def test_decoders_use_their_side_information_alone(side):
    torch.manual_seed(0)
    encoder, decoder = SegNetEncoder(3, BLOCKS).eval(), SegNetDecoder(5, BLOCKS, side).eval()
    image_decoder = ImageDecoder(3, [6, 8, 4]).eval()
    code, other = encoder(torch.randn(1, 3, 16, 16)), encoder(torch.randn(1, 3, 16, 16))
    assert decoder(code).shape == (1, 5, 16, 16)
    for name, change in (
        ("indices", {"indices": other.indices}),
        ("skip", {"skips": other.skips}),
        ("none", {"h": other.h}),
    ):
        changed = code._replace(**change)
        assert torch.equal(decoder(changed), decoder(code)) == (name not in (side, "none"))
        assert torch.equal(image_decoder(changed), image_decoder(code)) == (name != "none")


def test_sides_differ_in_the_joined_inputs_alone():
    first, last = SegNetDecoder(5, BLOCKS), SegNetDecoder(5, BLOCKS, "none")
    last.load_state_dict(first.state_dict())
    assert convs(first) == convs(last) == [(6, 6), (6, 8), (8, 8), (8, 4), (4, 5)]
    skip = SegNetDecoder(5, BLOCKS, "skip")
    assert convs(skip) == [(12, 6), (6, 8), (16, 8), (8, 4), (8, 5)]


def test_without_side_information_a_decoder_enlarges_by_nearest_neighbours():
    torch.manual_seed(0)
    decoder = SegNetDecoder(5, [[4]], "none").double()
    code = SegNetEncoder(3, [[4]]).double()(torch.randn(2, 3, 8, 8).double())
    conv = decoder.blocks[0][0]
    enlarged = F.interpolate(code.h, scale_factor=2, mode="nearest")
    expected = F.conv2d(enlarged, conv.weight, conv.bias, padding=1)
    torch.testing.assert_close(decoder(code), expected)


def test_every_convolution_but_the_outputs_has_its_own_norm_with_running_statistics():
    network = SegNet(3, 5, BLOCKS)
    norms = [layer for layer in network.modules() if isinstance(layer, BatchNorm)]
    assert len(norms) == len(convs(network)) - 1
    x = torch.randn(4, 3, 16, 16)
    network(x)
    network.eval()
    assert all(norm.running_mean.any() for norm in norms)
    torch.testing.assert_close(network(x)[:2], network(x[:2]))


def test_tanh_bounds_images():
    x = torch.randn(2, 3, 16, 16)
    assert SegNet(3, 3, BLOCKS, tanh=True)(x).abs().max() <= 1
    assert SegNet(3, 3, BLOCKS)(x).abs().max() > 1


@pytest.mark.parametrize("side", ["indices", "skip", "none"])
def test_bfloat16_gradients_stay_close(side):
    torch.manual_seed(0)
    label = torch.randint(5, (8, 1, 4, 4)).repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)
    label = label[:, 0]
    x = torch.randn(5, 3)[label].permute(0, 3, 1, 2) + 0.05 * torch.randn(8, 3, 32, 32)
    network = SegNet(3, 5, [[16], [32, 32]], side).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    # The gradient of random weights is mostly what rounding moves; that of these is not.
    for _ in range(20):
        optimizer.zero_grad()
        F.cross_entropy(network(x), label).backward()
        optimizer.step()
    gradients = []
    for bf16 in (False, True):
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            y = network(x)
        assert y.dtype == (torch.bfloat16 if bf16 else torch.float32)
        F.cross_entropy(y.float(), label).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in network.parameters()]))
    exact, rounded = gradients
    assert (rounded - exact).norm() / exact.norm() < 0.1


def test_images_must_halve_and_pools_must_match():
    with pytest.raises(InputError, match=r"12x16 px .* multiples of 8"):
        SegNetEncoder(3, BLOCKS)(torch.zeros(1, 3, 12, 16))
    code = SegNetEncoder(3, BLOCKS[:2])(torch.zeros(1, 3, 16, 16))
    with pytest.raises(InputError, match=r"enlarges 3 times .* 2 pools"):
        SegNetDecoder(5, BLOCKS)(code)


@pytest.fixture(scope="module")
def vgg16_file(tmp_path_factory):
    """A state dict of VGG16's names and shapes, each tensor filled with its layer's number."""
    shapes = dict(zip(VGG16_CONVS, [(3, 64), *TABLE_A3], strict=True))
    state = {"classifier.0.bias": torch.zeros(4096)}
    for number, (c_in, c_out) in shapes.items():
        value = torch.tensor(float(number))
        state[f"features.{number}.weight"] = value.expand(c_out, c_in, 3, 3)
        state[f"features.{number}.bias"] = value.expand(c_out)
    path = tmp_path_factory.mktemp("vgg16") / "vgg16.pth"
    torch.save(state, path)
    return str(path)


@pytest.fixture(scope="module")
def pretrained(vgg16_file):
    return SegNetEncoder(3, VGG16, norm=False, pretrained=vgg16_file)


def test_pretrained_weights_come_from_a_file_with_imagenets_standardisation(pretrained):
    layers = [layer for layer in pretrained.modules() if isinstance(layer, nn.Conv2d)]
    for number, layer in zip(VGG16_CONVS, layers, strict=True):
        assert (layer.weight == number).all()
        assert (layer.bias == number).all()
    x = 2 * torch.rand(1, 3, 2, 2) - 1
    mean, std = (torch.tensor(value)[:, None, None] for value in (IMAGENET_MEAN, IMAGENET_STD))
    standardised = (x - pretrained.mean) / pretrained.std
    torch.testing.assert_close(standardised, ((x + 1) / 2 - mean) / std)


def test_a_release_rebuilds_a_pretrained_encoder_without_the_file(pretrained):
    assert pretrained.init_args == {"channels": 3, "blocks": VGG16, "norm": False}
    with torch.device("meta"):
        rebuilt = SegNetEncoder(**pretrained.init_args)
    rebuilt.load_state_dict(pretrained.state_dict(), assign=True)
    assert torch.equal(rebuilt.mean, pretrained.mean)
    assert torch.equal(rebuilt.std, pretrained.std)


def test_an_encoder_without_norms_standardises_its_input():
    torch.manual_seed(0)
    encoder, x = SegNetEncoder(3, [[4]], norm=False), torch.randn(1, 3, 4, 4)
    code = encoder(x)
    encoder.mean.fill_(0.5)
    encoder.std.fill_(2)
    torch.testing.assert_close(encoder(2 * x + 0.5).h, code.h)


def test_weights_that_cannot_be_had_are_refused_in_one_sentence(tmp_path, monkeypatch):
    def offline(*_args, **_kwargs):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with torch.device("meta"):
        encoder = SegNetEncoder(3, VGG16, norm=False)
    with pytest.raises(InputError, match=r"no route to host.*download https://.*path as pretrai"):
        load_vgg16(encoder, "imagenet")
    with pytest.raises(InputError, match="cannot be read"):
        load_vgg16(encoder, str(tmp_path / "none.pth"))
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match="no state dict of torchvision's VGG16"):
        load_vgg16(encoder, str(tmp_path / "other.pth"))


@pytest.mark.parametrize(
    ("channels", "blocks", "norm"), [(1, VGG16, False), (3, BLOCKS, False), (3, VGG16, True)]
)
def test_pretrained_weights_fit_vgg16_alone(channels, blocks, norm):
    with torch.device("meta"), pytest.raises(InputError, match="VGG16 takes 3 channels"):
        SegNetEncoder(channels, blocks, norm, pretrained="imagenet")


def test_batch_norm_keeps_bfloat16_with_float32_statistics():
    torch.manual_seed(0)
    x = (torch.randn(8, 4, 8, 8) + 8).bfloat16()
    for norm in (BatchNorm(4), BatchNorm(4, running_stats=True), BatchNorm(4, num_classes=2)):
        y = norm(x, torch.zeros(8, dtype=torch.long)) if norm.num_classes else norm(x)
        assert y.dtype == (torch.float32 if norm.num_classes else torch.bfloat16)
        exact = F.batch_norm(x.double(), None, None, training=True)
        assert (y - exact).norm() / exact.norm() < 3e-3
