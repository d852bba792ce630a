import gan_checks
import pytest
import stylegan2_plainly as plainly
import torch

from lit_synth.networks.parts.equalised import EqualisedConv, EqualisedLinear


def test_weights_are_stored_raw_and_scaled_in_every_pass():
    torch.manual_seed(0)
    layer = EqualisedLinear(400, 300, lr_multiplier=0.01, bias_init=1.0)
    assert layer.weight.std().item() == pytest.approx(100, rel=0.02)
    x = torch.randn(500, 400)
    assert (layer(x) - 0.01).std().item() == pytest.approx(1, rel=0.05)
    expected = x @ layer.weight.T * 0.01 / 20 + 0.01 * layer.bias
    torch.testing.assert_close(layer(x, gain=3.0), 3 * expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kernel_size", [1, 3])
@pytest.mark.parametrize("halve", [False, True])
def test_convolution_equals_a_naive_one_up_to_the_border(kernel_size, halve):
    layer = gan_checks.randomise(EqualisedConv(3, 4, kernel_size, halve=halve))
    x = torch.randn(2, 3, 6, 8, dtype=torch.float64)
    plain = torch.stack([plainly.equalised(image, layer, halve) for image in x])
    assert plain.shape[2:] == ((3, 4) if halve else (6, 8))
    torch.testing.assert_close(layer(x, gain=2.0), 2 * plain, rtol=0, atol=1e-12)
