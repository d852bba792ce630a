import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from lit_synth.errors import InputError
from lit_synth.networks import UNet
from lit_synth.networks.parts.norms import BatchNorm


def channels(network, kind):
    layers = [layer for layer in network.modules() if isinstance(layer, kind)]
    return [(layer.in_channels, layer.out_channels) for layer in layers]


def test_at_256_px_it_is_the_published_network():
    with FakeTensorMode():
        network = UNet()
        assert network(torch.empty(1, 3, 256, 256)).shape == (1, 3, 256, 256)
    # C64-C128-C256-C512-C512-C512-C512-C512 and CD512-CD512-CD512-C512-C256-C128-C64, joined.
    down = [(3, 64), (64, 128), (128, 256), (256, 512)] + 4 * [(512, 512)]
    up = [(512, 512)] + 3 * [(1024, 512)] + [(1024, 256), (512, 128), (256, 64), (128, 3)]
    assert channels(network, nn.Conv2d) == down
    assert channels(network, nn.ConvTranspose2d) == up
    assert sum(p.numel() for p in network.parameters()) == 54_413_955


def test_norms_and_dropout_are_where_the_paper_puts_them():
    network = UNet(image_size=64, width=2)
    kinds = [[type(layer) for layer in block] for block in (*network.down, *network.up)]
    first, last = [nn.Conv2d], [nn.LeakyReLU, nn.Conv2d]
    up = [nn.ReLU, nn.ConvTranspose2d, BatchNorm]
    down = 4 * [[*last, BatchNorm]]
    assert kinds == [first, *down, last, *3 * [[*up, nn.Dropout]], *2 * [up]]
    plain = UNet(image_size=64, width=2, dropout=False)
    assert not any(isinstance(layer, nn.Dropout) for layer in plain.modules())


def test_dropout_is_random_in_training_alone():
    torch.manual_seed(0)
    network, x = UNet(1, 2, image_size=32, width=4), torch.randn(3, 1, 32, 32)
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))
    torch.testing.assert_close(network(x)[:1], network(x[:1]))


def test_the_first_layer_reaches_the_output_by_its_skip():
    torch.manual_seed(0)
    network = UNet(image_size=16, width=4, tanh=False).eval()
    for block in network.up:  # nothing passes the decoder's own layers
        nn.init.zeros_(block[1].weight)
    x = torch.randn(1, 3, 16, 16)
    skip = network.down[0](x)
    joined = torch.cat([torch.zeros_like(skip), skip], dim=1)
    torch.testing.assert_close(network(x), network.output(joined.relu()))


def test_tanh_is_optional():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 16, 16)
    bounded, free = UNet(image_size=16, width=4).eval(), UNet(image_size=16, width=4, tanh=False)
    free.load_state_dict(bounded.state_dict())
    torch.testing.assert_close(bounded(x), free.eval()(x).tanh())


def test_images_must_have_its_size():
    with pytest.raises(InputError, match="image_size is 48"):
        UNet(image_size=48)
    with pytest.raises(InputError, match="32 px got images of 16x16 px"):
        UNet(image_size=32, width=2)(torch.zeros(1, 3, 16, 16))
