"""What every critic and every pair of generator and critic must pass, at tiny size."""

import torch

from lit_synth.losses.penalties import gradient_penalty


@torch.no_grad()
def randomise(network, seed=0):
    """Make a network float64, draw every parameter and every statistic anew; return it."""
    rng = torch.Generator().manual_seed(seed)
    network.double()
    for name, tensor in network.state_dict().items():
        drawn = torch.randn(tensor.shape, generator=rng, dtype=torch.float64)
        if "running_var" in name:
            tensor.copy_(0.5 + drawn.square())
        elif tensor.is_floating_point():
            tensor.copy_(drawn if tensor.ndim < 2 else drawn / tensor[0].numel() ** 0.5)
    return network


def enlarged(x):
    """Features, nearest x2."""
    return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


def halved(x):
    """The mean of 2x2 pixels."""
    return (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4


def check_penalty(critic, images):
    """Hold the slope of a gradient penalty in the weights against differences, in float64."""
    critic.double().eval()
    x, x_fake = images.chunk(2)
    alpha = torch.rand(len(x), 1, 1, 1, dtype=torch.float64)

    def penalty():
        return gradient_penalty(critic, x, x_fake, alpha)

    weights = [weight for weight in critic.parameters() if weight.ndim > 1]
    slopes = torch.autograd.grad(penalty(), weights, allow_unused=True)
    direction = [torch.randn_like(weight) for weight in weights]
    slope = sum((g * d).sum() for g, d in zip(slopes, direction, strict=True) if g is not None)
    values = []
    for step in (1e-6, -1e-6):
        with torch.no_grad():
            for weight, d in zip(weights, direction, strict=True):
                weight += step * d
        values.append(penalty().detach())
        with torch.no_grad():
            for weight, d in zip(weights, direction, strict=True):
                weight -= step * d
    torch.testing.assert_close(slope, (values[0] - values[1]) / 2e-6, rtol=1e-4, atol=1e-8)


def check_bfloat16(generator, critic, *inputs):
    """Hold images and scores under bfloat16 against float32's; gradients must be finite."""
    exact = generator(*inputs)
    with torch.autocast("cpu", torch.bfloat16):
        images = generator(*inputs)
        score = critic(images)
    assert (images - exact).abs().max() < 0.1 * exact.abs().max()
    score.float().sum().backward()
    gradients = [p.grad for p in (*generator.parameters(), *critic.parameters())]
    assert all(g.isfinite().all() for g in gradients if g is not None)
    assert sum(g is not None for g in gradients) > len(gradients) / 2
