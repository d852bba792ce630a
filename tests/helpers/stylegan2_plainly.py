"""StyleGAN2 written out from its papers' formulas, slowly, for tests to compare with.

Mapping and truncation: StyleGAN (arXiv:1812.04948), sections 2 and B. Modulation, skips, residual
discriminator, equalised rates: StyleGAN2 (arXiv:1912.04958), sections 2, 4 and B; classes: its ADA
form (arXiv:2006.06676), appendix D.
"""

import math

import torch

FIR = [[a * b / 64 for b in (1, 3, 3, 1)] for a in (1, 3, 3, 1)]


def convolve(x, kernel):
    """Correlate one image (I, H, W) with kernels (O, I, k, k), no padding, tap by tap."""
    k = kernel.shape[-1]
    height, width = x.shape[1] - k + 1, x.shape[2] - k + 1
    y = x.new_zeros(len(kernel), height, width)
    for i in range(k):
        for j in range(k):
            window = x[:, i : i + height, j : j + width]
            y += torch.einsum("oi,ihw->ohw", kernel[:, :, i, j], window)
    return y


def pad(x, before, after):
    """Put zeros around one image (C, H, W)."""
    y = x.new_zeros(len(x), x.shape[1] + before + after, x.shape[2] + before + after)
    y[:, before : before + x.shape[1], before : before + x.shape[2]] = x
    return y


def low_pass(x):
    """Filter one image (C, H, W), which loses 3 rows and columns."""
    taps = torch.tensor(FIR, dtype=x.dtype)[None, None]
    return torch.cat([convolve(plane[None], taps) for plane in x])


def enlarged(x):
    """Put a zero after each pixel, low-pass at 4 times the power: twice the size."""
    y = x.new_zeros(len(x), 2 * x.shape[1], 2 * x.shape[2])
    y[:, ::2, ::2] = x
    return 4 * low_pass(pad(y, 2, 1))


def reduced(x):
    """Low-pass, then every second pixel: half the size."""
    return low_pass(pad(x, 1, 1))[:, ::2, ::2]


def lrelu(x):
    return torch.where(x > 0, x, 0.2 * x) * math.sqrt(2)


def normalised(x):
    """Scale vectors to mean square 1."""
    return x / (x.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()


def linear(x, layer, rate=1.0):
    fan_in = layer.weight.shape[1]
    return x @ (layer.weight * rate / math.sqrt(fan_in)).T + layer.bias * rate


def mapped(network, z, vector=None):
    """f(z, c): eight (or so) layers whose rate is a hundredth of the others'."""
    h = torch.cat([normalised(part) for part in (z, vector) if part is not None], dim=1)
    for layer in network.body:
        h = lrelu(linear(h, layer, rate=0.01))
    return h


def class_vector(network, label):
    embedding = network.class_embedding
    one_hot = torch.eye(embedding.weight.shape[1], dtype=torch.float64)[label]
    return linear(one_hot, embedding)


def modulated_kernel(weight, style, demodulate):
    """Equations 1 and 3: one image's kernel."""
    kernel = weight * style[None, :, None, None]
    if demodulate:
        kernel = kernel / (kernel.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
    return kernel


def styled(x, layer, w, noise, double):
    """A layer for one image: modulated convolution, noise, bias, activation."""
    kernel = modulated_kernel(layer.weight, linear(w[None], layer.style)[0], demodulate=True)
    if double:
        # Pixels apart, then the kernel as a convolution (not a correlation), then the filter.
        apart = x.new_zeros(len(x), 2 * x.shape[1] - 1, 2 * x.shape[2] - 1)
        apart[:, ::2, ::2] = x
        x = 4 * low_pass(pad(convolve(pad(apart, 2, 2), kernel.flip(2, 3)), 1, 1))
    else:
        x = convolve(pad(x, 1, 1), kernel)
    if noise:
        x = x + layer.noise_const * layer.noise_strength
    return lrelu(x + layer.bias[:, None, None])


def synthesised(network, ws, noise=True):
    """Images (N, C, H, W) of w of every layer (N, layers, w_dim)."""
    return torch.stack([_synthesised(network, w, noise) for w in ws])


def _synthesised(network, w, noise):
    x, image = network.const, None
    for i, block in enumerate(network.blocks.values()):
        if i:
            x = styled(x, block.conv0, w[2 * i - 1], noise, double=True)
        x = styled(x, block.conv1, w[2 * i], noise, double=False)
        style = linear(w[2 * i + 1][None], block.to_rgb.style)[0] / math.sqrt(len(x))
        kernel = modulated_kernel(block.to_rgb.weight, style, demodulate=False)
        shown = convolve(x, kernel) + block.to_rgb.bias[:, None, None]
        image = shown if image is None else enlarged(image) + shown
    return image


def equalised(x, layer, halve=False):
    """A discriminator's convolution of one image, after the low-pass where it halves the size."""
    kernel = layer.weight / math.sqrt(layer.weight[0].numel())
    margin = kernel.shape[-1] // 2
    if halve:
        x = low_pass(pad(x, margin + 1, margin + 1))
    y = convolve(x if halve else pad(x, margin, margin), kernel)
    y = y[:, ::2, ::2] if halve else y
    return y if layer.bias is None else y + layer.bias[:, None, None]


def deviations(x, group, channels):
    """The mean deviation of each image's group, (N, channels)."""
    n = len(x)
    group = n if n % group else group
    found = []
    for first in range(0, n, group):
        variance = x[first : first + group].var(dim=0, correction=0)
        parts = (variance + 1e-8).sqrt().chunk(channels)
        found += [torch.stack([part.mean() for part in parts])] * group
    return torch.stack(found)


def judged(network, x, group, channels, label=None):
    """Scores (N,) of images (N, C, H, W)."""
    h = torch.stack([_features(network, image) for image in x])
    maps = deviations(h, group, channels)[:, :, None, None].expand(-1, -1, 4, 4)
    h = torch.cat([h, maps], dim=1)
    h = torch.stack([lrelu(equalised(each, network.conv)) for each in h])
    score = linear(lrelu(linear(h.flatten(1), network.fc)), network.score)
    if label is None:
        return score[:, 0]
    vector = mapped(network.class_mapping, None, class_vector(network.class_mapping, label))
    return (score * vector).sum(dim=1) / math.sqrt(vector.shape[1])


def _features(network, image):
    x = None
    for i, block in enumerate(network.body.values()):
        if i == 0 or network.architecture == "skip":
            seen = lrelu(equalised(image, block.from_rgb))
            x = seen if x is None else x + seen
            image = reduced(image)
        h = lrelu(equalised(lrelu(equalised(x, block.conv0)), block.conv1, halve=True))
        if network.architecture == "resnet":
            shortcut = equalised(x, block.shortcut, halve=True)
            h = (h + shortcut) / math.sqrt(2)
        x = h
    if network.architecture == "skip":
        x = x + lrelu(equalised(image, network.from_rgb))
    return x
