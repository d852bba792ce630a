import pytest
import stylegan2_plainly as plainly
import torch

from lit_synth.networks.parts.resampling import LowPass


def features(height=5, width=7):
    return torch.randn(2, 3, height, width, dtype=torch.float64)


def plainly_done(function, x):
    return torch.stack([function(image) for image in x])


@pytest.mark.parametrize("padding", [1, 2])
def test_blur_equals_a_naive_convolution_up_to_the_border(padding):
    x = features()
    plain = plainly_done(lambda image: plainly.low_pass(plainly.pad(image, padding, padding)), x)
    ours = LowPass().double().blur(x, padding, gain=4.0)
    torch.testing.assert_close(ours, 4 * plain, rtol=0, atol=1e-12)


def test_half_and_twice_the_size_equal_a_naive_convolution_up_to_the_border():
    low_pass, x = LowPass().double(), features(6, 8)
    reduced, enlarged = low_pass.reduce(x), low_pass.enlarge(x)
    assert (reduced.shape[2:], enlarged.shape[2:]) == ((3, 4), (12, 16))
    torch.testing.assert_close(reduced, plainly_done(plainly.reduced, x), rtol=0, atol=1e-12)
    torch.testing.assert_close(enlarged, plainly_done(plainly.enlarged, x), rtol=0, atol=1e-12)


def test_a_flat_image_stays_flat_inside():
    low_pass, x = LowPass().double(), torch.ones(1, 1, 8, 8, dtype=torch.float64)
    for y in (low_pass.reduce(x), low_pass.enlarge(x)):
        inside = y[..., 1:-1, 1:-1]
        torch.testing.assert_close(inside, torch.ones_like(inside), rtol=0, atol=1e-12)


def test_it_stores_nothing_and_computes_in_the_type_of_its_input():
    low_pass, x = LowPass(), features().float()
    assert not low_pass.state_dict()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(low_pass.enlarge(x), LowPass().enlarge(x))
        assert low_pass.blur(x.bfloat16(), 1).dtype == torch.bfloat16
    assert low_pass.enlarge(x).dtype == torch.float32
