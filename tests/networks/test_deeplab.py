"""DeepLab v3+: its size, the public layout, a plain forward pass, weights of files."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torchvision.models import resnet101

from lit_synth.errors import InputError
from lit_synth.networks.deeplab import DeepLab, to_public

SMALL = {"blocks": [1, 2, 1], "multi_grid": [1, 2], "width": 4, "pooled": 6, "low": 5}


def deeplab(out_channels=3, **settings):
    torch.manual_seed(0)
    return DeepLab(out_channels, **{**SMALL, "dropout": False, **settings})


def published(classes, blocks=(3, 4, 23, 3)):
    """Return the names and shapes of the public checkpoints, written from the architecture."""
    shapes = {}

    def conv(name, c_in, c_out, kernel):
        shapes[f"{name}.weight"] = (c_out, c_in, kernel, kernel)

    def norm(name, channels):
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.{part}"] = (channels,)
        shapes[f"{name}.num_batches_tracked"] = ()

    conv("backbone.conv1", 3, 64, 7)
    norm("backbone.bn1", 64)
    c_in = 64
    for layer, count in enumerate(blocks):
        inner = 64 * 2**layer
        for i in range(count):
            name = f"backbone.layer{layer + 1}.{i}"
            for number, (a, b, kernel) in enumerate(
                ((c_in, inner, 1), (inner, inner, 3), (inner, 4 * inner, 1)), 1
            ):
                conv(f"{name}.conv{number}", a, b, kernel)
                norm(f"{name}.bn{number}", b)
            if i == 0:
                conv(f"{name}.downsample.0", c_in, 4 * inner, 1)
                norm(f"{name}.downsample.1", 4 * inner)
            c_in = 4 * inner
    for branch, kernel in enumerate((1, 3, 3, 3), 1):
        conv(f"aspp.aspp{branch}.atrous_conv", 2048, 256, kernel)
        norm(f"aspp.aspp{branch}.bn", 256)
    conv("aspp.global_avg_pool.1", 2048, 256, 1)
    norm("aspp.global_avg_pool.2", 256)
    conv("aspp.conv1", 1280, 256, 1)
    norm("aspp.bn1", 256)
    conv("decoder.conv1", 256, 48, 1)
    norm("decoder.bn1", 48)
    for number, c_in in ((0, 304), (4, 256)):
        conv(f"decoder.last_conv.{number}", c_in, 256, 3)
        norm(f"decoder.last_conv.{number + 1}", 256)
    conv("decoder.last_conv.8", 256, classes, 1)
    shapes["decoder.last_conv.8.bias"] = (classes,)
    return shapes


def test_it_has_the_published_tensors_and_no_other():
    with torch.device("meta"):
        network, of_voc = DeepLab(4), DeepLab(21)
    assert sum(p.numel() for p in network.parameters()) == 59_339_940
    found = {name: tuple(tensor.shape) for name, tensor in to_public(of_voc).items()}
    assert found == published(21)
    assert len(found) == 680


def batch_norm(state, name, h):
    mean, var, weight, bias = (
        state[f"{name}.{part}"][:, None, None]
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (h - mean) / (var + 1e-5).sqrt() * weight + bias


def plainly(state, x, rates=(6, 12, 18)):
    """Return the logits of a network of `SMALL` by its public weights, written out."""

    def conv(name, h, **options):
        return F.conv2d(h, state[f"{name}.weight"], **options)

    def block(name, h, stride, dilation):
        out = batch_norm(state, f"{name}.bn1", conv(f"{name}.conv1", h)).relu()
        out = conv(f"{name}.conv2", out, stride=stride, padding=dilation, dilation=dilation)
        out = batch_norm(state, f"{name}.bn2", out).relu()
        out = batch_norm(state, f"{name}.bn3", conv(f"{name}.conv3", out))
        if f"{name}.downsample.0.weight" in state:
            h = conv(f"{name}.downsample.0", h, stride=stride)
            h = batch_norm(state, f"{name}.downsample.1", h)
        return (out + h).relu()

    h = conv("backbone.conv1", x, stride=2, padding=3)
    h = F.max_pool2d(batch_norm(state, "backbone.bn1", h).relu(), 3, 2, 1)
    edges = h = block("backbone.layer1.0", h, 1, 1)
    h = block("backbone.layer2.0", h, 2, 1)
    h = block("backbone.layer2.1", h, 1, 1)
    h = block("backbone.layer3.0", h, 2, 1)
    h = block("backbone.layer4.0", h, 1, 2)
    h = block("backbone.layer4.1", h, 1, 4)
    parts = [conv("aspp.aspp1.atrous_conv", h)]
    for number, rate in enumerate(rates, 2):
        parts.append(conv(f"aspp.aspp{number}.atrous_conv", h, padding=rate, dilation=rate))
    parts = [batch_norm(state, f"aspp.aspp{i}.bn", part) for i, part in enumerate(parts, 1)]
    mean = conv("aspp.global_avg_pool.1", h.mean((2, 3), keepdim=True))
    mean = batch_norm(state, "aspp.global_avg_pool.2", mean)
    parts.append(mean.expand_as(parts[0]))
    h = batch_norm(state, "aspp.bn1", conv("aspp.conv1", torch.cat(parts, 1).relu())).relu()
    h = F.interpolate(h, edges.shape[2:], mode="bilinear", align_corners=True)
    low = batch_norm(state, "decoder.bn1", conv("decoder.conv1", edges)).relu()
    h = conv("decoder.last_conv.0", torch.cat([h, low], 1), padding=1)
    h = batch_norm(state, "decoder.last_conv.1", h).relu()
    h = batch_norm(state, "decoder.last_conv.5", conv("decoder.last_conv.4", h, padding=1)).relu()
    h = conv("decoder.last_conv.8", h, bias=state["decoder.last_conv.8.bias"])
    return F.interpolate(h, x.shape[2:], mode="bilinear", align_corners=True)


def randomised(network):
    """Give every tensor, running statistics included, a value that is no other's."""
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            drawn = torch.randn(tensor.shape, dtype=tensor.dtype) * 0.3
            if tensor.dim() < 2:
                tensor.copy_(drawn.abs() + 0.5 if "weight" in name or "var" in name else drawn)
            else:
                tensor.copy_(tensor + drawn * tensor.std())
    return network


@pytest.mark.parametrize("size", [(48, 32), (37, 50)])
def test_its_logits_are_those_of_the_formulas(size):
    network = randomised(deeplab().double()).eval()
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    torch.testing.assert_close(network(x), plainly(to_public(network), x))


def test_grey_images_are_repeated_and_standardised():
    x = torch.rand(2, 1, 32, 32) * 2 - 1
    network = deeplab(imagenet_input=True).eval()
    u = (x.expand(-1, 3, -1, -1) + 1) / 2
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = plainly(to_public(network), (u - mean[:, None, None]) / std[:, None, None])
    torch.testing.assert_close(network(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("stem_stride", "edge"), [(1, 32), (2, 16), (4, 8)])
def test_the_stem_keeps_small_images_large(stem_stride, edge):
    network = deeplab(stem_stride=stem_stride)
    assert network.backbone(torch.zeros(2, 3, 32, 32))[0].shape[2:] == (edge, edge)
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 3, 32, 32)


def test_a_batch_of_one_is_no_training():
    with pytest.raises(InputError, match="at least two"):
        deeplab()(torch.zeros(1, 3, 32, 32))


@pytest.mark.parametrize(
    "wrong", [{"blocks": [1, 1]}, {"blocks": [1, 0, 1]}, {"multi_grid": []}, {"rates": [6]}]
)
def test_other_numbers_of_parts_are_refused(wrong):
    with pytest.raises(InputError, match="expected three numbers of blocks"):
        deeplab(**wrong)


@pytest.mark.parametrize("wrapped", [True, False])
def test_it_starts_from_a_public_checkpoint(tmp_path, wrapped):
    other = randomised(deeplab())
    state = {f"module.{n}" if wrapped else n: x for n, x in to_public(other).items()}
    held = {"epoch": 3, "state_dict": state, "best_pred": np.float64(0.78)} if wrapped else state
    torch.save(held, tmp_path / "checkpoint.pth.tar")
    network = deeplab(pretrained=str(tmp_path / "checkpoint.pth.tar"))
    for name, tensor in to_public(other).items():
        assert torch.equal(to_public(network)[name], tensor), name
    four = deeplab(4, pretrained=str(tmp_path / "checkpoint.pth.tar"))
    assert torch.equal(four.aspp.conv1.weight, other.aspp.conv1.weight)
    assert four.decoder.last_conv[8].weight.shape[0] == 4
    assert "pretrained" not in four.init_args


def test_its_backbone_starts_from_torchvision(tmp_path):
    with torch.device("meta"):
        theirs = resnet101(weights=None)
        ours = DeepLab(4)
    names = {n: x.shape for n, x in theirs.state_dict().items() if not n.startswith("fc.")}
    public = {n: x.shape for n, x in to_public(ours).items()}
    own = {n.removeprefix("backbone."): s for n, s in public.items() if n.startswith("backbone.")}
    assert own == names
    small = copy.deepcopy(randomised(deeplab()))
    state = {
        name.removeprefix("backbone."): x
        for name, x in to_public(small).items()
        if name.startswith("backbone.")
    }
    torch.save(state | {"fc.weight": torch.zeros(2, 2)}, tmp_path / "resnet.pth")
    network = deeplab(pretrained=str(tmp_path / "resnet.pth"))
    for name, tensor in small.backbone.state_dict().items():
        assert torch.equal(network.backbone.state_dict()[name], tensor)
    assert not torch.equal(network.aspp.conv1.weight, small.aspp.conv1.weight)


def test_files_that_do_not_fit_are_named(tmp_path):
    torch.save(to_public(deeplab(width=8)), tmp_path / "wider.pth")
    with pytest.raises(InputError, match=r"does not fit this DeepLab .*size mismatch"):
        deeplab(pretrained=str(tmp_path / "wider.pth"))
    torch.save({"epoch": 1}, tmp_path / "empty.pth")
    with pytest.raises(InputError, match="no state dict"):
        deeplab(pretrained=str(tmp_path / "empty.pth"))
    torch.save({"state_dict": {"a": print}}, tmp_path / "code.pth")
    with pytest.raises(InputError, match="could execute code"):
        deeplab(pretrained=str(tmp_path / "code.pth"))
