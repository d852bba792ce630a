"""The networks of the semantic extractor."""

import urllib.error

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from lit_synth.errors import InputError
from lit_synth.networks import ConvBackbone, ImageNetBackbone, VGGFaceBackbone
from lit_synth.networks.extractor import ExtractorHead, ExtractorNet, map_shape


def test_all_but_the_first_convolution_halve():
    backbone = ConvBackbone(1, widths=[4, 6, 8])
    assert map_shape(backbone, 32) == (8, 8, 8)
    assert backbone.training
    assert not any(norm.running_mean.any() for norm in backbone.body[1::3])
    assert backbone(torch.randn(2, 1, 32, 32)).min() >= 0


def test_features_are_the_maps_before_and_after_the_reduction_without_relu():
    torch.manual_seed(0)
    backbone, head = ConvBackbone(3, [4, 8]), ExtractorHead((8, 8, 8), width=3, num_classes=2)
    net, x = ExtractorNet(backbone, head).eval(), torch.randn(2, 3, 16, 16)
    assert torch.equal(net.feature(x, "naive"), backbone(x))
    reduced = net.feature(x, "reduced")
    assert reduced.shape == (2, 3, 8, 8)
    assert reduced.min() < 0
    torch.testing.assert_close(net(x), head.classify(reduced.reshape(2, -1)))


@pytest.mark.parametrize(
    ("name", "until", "shape"),
    [
        ("resnet18", None, (512, 2, 2)),
        ("resnet18", "layer2", (128, 8, 8)),
        ("vgg11", "9", (256, 16, 16)),
    ],
)
def test_torchvisions_convolutions_up_to_a_part(name, until, shape):
    backbone = ImageNetBackbone(name, weights=None, until=until)
    assert map_shape(backbone, 64) == shape
    assert backbone.init_args == {"name": name, "weights": None, "until": until}
    assert not any(isinstance(m, nn.Linear) for m in backbone.modules())


def test_weights_come_from_a_file_and_images_are_standardised(tmp_path):
    torch.manual_seed(0)
    model = torchvision.models.resnet18(weights=None).eval()
    torch.save(model.state_dict(), tmp_path / "resnet18.pth")
    backbone = ImageNetBackbone("resnet18", str(tmp_path / "resnet18.pth")).eval()
    x = 2 * torch.rand(1, 3, 64, 64) - 1
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    h = ((x + 1) / 2 - mean[:, None, None]) / std[:, None, None]
    h = model.maxpool(model.relu(model.bn1(model.conv1(h))))
    h = model.layer4(model.layer3(model.layer2(model.layer1(h))))
    torch.testing.assert_close(backbone(x), h)
    rebuilt = ImageNetBackbone(**backbone.init_args)
    rebuilt.load_state_dict(backbone.state_dict())


def test_weights_that_cannot_be_had_are_refused_in_one_sentence(tmp_path, monkeypatch):
    def offline(*_args, **_kwargs):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(InputError, match=r"no route to host.*download https://.*path as weights"):
        ImageNetBackbone("resnet18")
    with pytest.raises(InputError, match="cannot be read"):
        ImageNetBackbone("resnet18", str(tmp_path / "none.pth"))
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match="no state dict of torchvision's resnet18"):
        ImageNetBackbone("resnet18", str(tmp_path / "other.pth"))


@pytest.mark.parametrize(
    ("name", "until", "said"),
    [
        ("resnet999", None, "no classifier 'resnet999'"),
        ("vit_b_16", None, "no row of convolutions"),
        ("resnet18", "layer9", "no part 'layer9': there are conv1, bn1"),
    ],
)
def test_models_that_do_not_fit_are_refused(name, until, said, monkeypatch):
    monkeypatch.setattr(nn.init, "trunc_normal_", lambda tensor, *_, **__: tensor)
    with pytest.raises(InputError, match=said):
        ImageNetBackbone(name, weights=None, until=until)


def test_vgg_face_with_its_2622_people_and_its_own_pixels(tmp_path):
    torch.manual_seed(0)
    widths = [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    names = [
        f"conv{block}_{layer}"
        for block, n in enumerate((2, 2, 3, 3, 3), 1)
        for layer in range(1, n + 1)
    ]
    state, c_in = {}, 3
    for name, width in zip(names, widths, strict=True):
        state[f"{name}.weight"] = torch.randn(width, c_in, 3, 3) * (2 / (9 * c_in)) ** 0.5
        state[f"{name}.bias"] = torch.randn(width)
        c_in = width
    state |= {"fc8.weight": torch.zeros(2622, 1), "fc8.bias": torch.zeros(2622)}  # not of the maps
    torch.save(state, tmp_path / "face.pth")
    backbone, x = VGGFaceBackbone(str(tmp_path / "face.pth")), 2 * torch.rand(1, 3, 32, 32) - 1

    h = (x + 1) / 2 * 255 - torch.tensor([129.1863, 104.7624, 93.5940])[:, None, None]
    for name in names:
        if name.endswith("_1") and name != "conv1_1":
            h = F.max_pool2d(h, 2)
        h = F.conv2d(h, state[f"{name}.weight"], state[f"{name}.bias"], padding=1)
        if name != "conv5_3":
            h = h.relu()
    torch.testing.assert_close(backbone(x), h, rtol=1e-4, atol=1e-3)
    rebuilt = VGGFaceBackbone(**backbone.init_args)
    rebuilt.load_state_dict(backbone.state_dict())


def test_vgg_face_that_does_not_fit_is_refused(tmp_path):
    with pytest.raises(InputError, match="no layer 'conv6_1': there are conv1_1, relu1_1"):
        VGGFaceBackbone(None, until="conv6_1")
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"has no conv1_1\.weight"):
        VGGFaceBackbone(str(tmp_path / "other.pth"), until="relu1_1")
