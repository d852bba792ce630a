"""SPADE's layers stated plainly, in float64."""

import torch
import torch.nn.functional as F


def one_hot(ids, classes):
    return torch.stack([ids == c for c in range(classes)], 1).double()


def drawn(network):
    """Give biases values too, and spectral norms vectors that have converged."""
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    for _ in range(300):
        for layer in network.modules():
            if hasattr(layer, "parametrizations"):
                layer.weight  # noqa: B018 - moves its vectors on
    return network


def normalised(x):
    mean = x.mean((0, 2, 3), keepdim=True)
    return (x - mean) / ((x - mean).square().mean((0, 2, 3), keepdim=True) + 1e-5).sqrt()


def spectral(conv, x, padding):
    """Convolve with a kernel divided by its largest singular value, by a decomposition."""
    original = conv.parametrizations.weight.original
    weight = original / torch.linalg.matrix_norm(original.flatten(1), 2)
    return F.conv2d(x, weight, conv.bias, padding=padding)


def spade_norm(norm, x, m):
    h = F.conv2d(m, norm.shared.weight, norm.shared.bias, padding=1).relu()
    gamma = F.conv2d(h, norm.gamma.weight, norm.gamma.bias, padding=1)
    return normalised(x) * (1 + gamma) + F.conv2d(h, norm.beta.weight, norm.beta.bias, padding=1)
