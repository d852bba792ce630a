import pytest
import torch
from torch import nn

from lit_synth.errors import InputError
from lit_synth.losses.adversarial import wasserstein_critic_loss
from lit_synth.losses.penalties import gradient_penalty, map_score, r1_penalty

SHAPE = (4, 2, 3, 3)


def images():
    torch.manual_seed(0)
    x_real, x_fake = torch.randn(2, *SHAPE, dtype=torch.float64)
    return x_real, x_fake, torch.rand(4, 1, 1, 1, dtype=torch.float64)


def linear_critic(slope):
    weight = torch.randn(18, dtype=torch.float64)
    weight *= slope / weight.norm()
    return lambda x: x.flatten(1).to(weight.dtype) @ weight


def smooth_critic():
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(18, 5), nn.Tanh(), nn.Linear(5, 1)).double()


def test_a_linear_critic_of_unit_slope_pays_nothing():
    assert gradient_penalty(linear_critic(1.0), *images()) < 1e-24


def test_a_linear_critic_pays_the_square_of_what_its_slope_lacks():
    torch.testing.assert_close(gradient_penalty(linear_critic(3.0), *images()).item(), 4.0)
    torch.testing.assert_close(r1_penalty(linear_critic(3.0), images()[0]).item(), 9.0)


def test_penalty_equals_a_plain_derivation_with_one_alpha_per_image():
    x_real, x_fake, alpha = images()
    critic = smooth_critic()
    (w1, b1), (w2, _) = [(layer.weight, layer.bias) for layer in (critic[1], critic[3])]
    total = 0.0
    for i in range(4):
        mix = alpha[i].item() * x_real[i] + (1 - alpha[i].item()) * x_fake[i]
        slope = 1 - torch.tanh(w1 @ mix.flatten() + b1) ** 2
        gradient = (w2[0] * slope) @ w1
        total += (gradient.square().sum().sqrt().item() - 1) ** 2
    penalty = gradient_penalty(critic, x_real, x_fake, alpha)
    torch.testing.assert_close(penalty.item(), total / 4)


def tiled(critic, size, x):
    """Scores of every place of a map, all of them the critic's of the whole image."""
    return critic(x)[:, :, None, None].expand(-1, -1, size, size)


def game_gradients(critic, size, of):
    """Gradients of the adversarial term and of the penalty in the weights of a tiled critic."""
    x_real, x_fake, alpha = images()
    d_adv = wasserstein_critic_loss(tiled(critic, size, x_real), tiled(critic, size, x_fake))
    d_gp = gradient_penalty(lambda x: map_score(tiled(critic, size, x), of), x_real, x_fake, alpha)
    weights = [critic[1].weight, critic[3].weight]
    found = [torch.autograd.grad(term, weights) for term in (d_adv, d_gp)]
    return [torch.cat([each.flatten() for each in gradients]) for gradients in found]


def test_the_size_of_a_map_does_not_change_the_weight_of_the_game_against_the_penalty():
    critic = smooth_critic()
    one, *larger = [game_gradients(critic, size, "mean") for size in (1, 2, 4)]
    for d_adv, d_gp in larger:
        torch.testing.assert_close(d_adv, one[0])
        torch.testing.assert_close(d_gp, one[1])


def test_of_the_sum_the_penalty_is_the_published_one_and_grows_with_the_map():
    x_real, x_fake, alpha = images()
    critic, places = smooth_critic(), 4
    x_mix = (alpha * x_real + (1 - alpha) * x_fake).requires_grad_()
    (slope,) = torch.autograd.grad(critic(x_mix).sum(), x_mix)
    norm = places * slope.flatten(1).square().sum(1).sqrt()  # every place adds its own slope
    published = (norm - 1).square().mean()

    def score(x):
        return map_score(tiled(critic, 2, x), "sum")

    torch.testing.assert_close(gradient_penalty(score, x_real, x_fake, alpha), published)
    torch.testing.assert_close(
        game_gradients(critic, 2, "sum")[0], game_gradients(critic, 1, "sum")[0]
    )


def test_weights_get_the_numeric_gradient_and_images_get_none():
    x_real, x_fake, alpha = images()
    x_fake.requires_grad_()
    critic = smooth_critic()
    gradient_penalty(critic, x_real, x_fake, alpha).backward()
    weight = critic[1].weight
    with torch.no_grad():
        weight[2, 3] += 1e-6
        up = gradient_penalty_value(critic, x_real, x_fake, alpha)
        weight[2, 3] -= 2e-6
        down = gradient_penalty_value(critic, x_real, x_fake, alpha)
    torch.testing.assert_close(weight.grad[2, 3].item(), (up - down) / 2e-6, rtol=1e-5, atol=1e-8)
    assert x_fake.grad is None


def gradient_penalty_value(*args):
    with torch.enable_grad():
        return gradient_penalty(*args).item()


def test_a_constant_critic_pays_one_and_its_gradient_is_finite():
    critic = nn.Sequential(nn.Flatten(), nn.Linear(18, 1)).double()
    nn.init.zeros_(critic[1].weight)
    penalty = gradient_penalty(critic, *images())
    penalty.backward()
    assert penalty == 1
    assert critic[1].weight.grad.isfinite().all()


def test_autocast_does_not_reach_the_penalty():
    x_real, x_fake, alpha = (tensor.float() for tensor in images())
    critic = smooth_critic().float()
    plain = gradient_penalty(critic, x_real, x_fake, alpha)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = gradient_penalty(critic, x_real.bfloat16().float(), x_fake, alpha)
        same = gradient_penalty(critic, x_real, x_fake, alpha)
    assert mixed.dtype == same.dtype == torch.float32
    assert torch.equal(plain, same)


@pytest.mark.parametrize("shape", [(4,), (1, 1, 1, 1), (4, 2, 3, 3)])
def test_alpha_of_another_shape_is_refused(shape):
    x_real, x_fake, _ = images()
    with pytest.raises(InputError, match="one alpha per image"):
        gradient_penalty(linear_critic(1.0), x_real, x_fake, torch.rand(shape))
