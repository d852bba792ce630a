"""Gram matrices, channel by channel."""

import torch

from lit_synth.losses.gram import gram_loss


def test_it_is_the_squared_difference_of_means_of_products_of_channels():
    torch.manual_seed(0)
    sizes = [(2, 3, 4, 5), (2, 2, 3, 3)]
    made = [torch.randn(size, dtype=torch.float64, requires_grad=True) for size in sizes]
    true = [torch.randn(size, dtype=torch.float64, requires_grad=True) for size in sizes]
    expected = 0.0
    for y, x in zip(made, true, strict=True):
        n, c, height, width = y.shape
        for i in range(n):
            for a in range(c):
                for b in range(c):
                    ours = (y[i, a] * y[i, b]).sum() / (c * height * width)
                    theirs = (x[i, a] * x[i, b]).sum() / (c * height * width)
                    expected = expected + (ours - theirs) ** 2 / (n * c * c)
    loss = gram_loss(made, true)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert all(x.grad is None for x in true)
    assert all(y.grad.abs().sum() > 0 for y in made)
