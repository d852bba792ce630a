"""Games against plain float64 derivations of the published formulas."""

import math

import pytest
import torch
from torch import nn

from lit_synth.errors import InputError
from lit_synth.losses.games import WGANGP, Hinge, Logistic, Relativistic
from lit_synth.networks.stylegan2 import StyleGAN2Generator


def softplus(x):
    return math.log1p(math.exp(-abs(x))) + max(x, 0.0)


def scores():
    torch.manual_seed(0)
    return torch.randn(6, dtype=torch.float64), torch.randn(6, dtype=torch.float64)


def mean(values):
    values = list(values)
    return sum(values) / len(values)


PLAIN = [
    (
        WGANGP(),
        lambda r, f: mean(f) - mean(r),
        lambda _, f: -mean(f),
    ),
    (
        Logistic(),
        lambda r, f: (
            mean(-math.log(1 / (1 + math.exp(-s))) for s in r)
            + mean(-math.log(1 - 1 / (1 + math.exp(-s))) for s in f)
        ),
        lambda _, f: mean(-math.log(1 / (1 + math.exp(-s))) for s in f),
    ),
    (
        Hinge(),
        lambda r, f: mean(max(0, 1 - s) for s in r) + mean(max(0, 1 + s) for s in f),
        lambda _, f: -mean(f),
    ),
    (
        Relativistic(),
        lambda r, f: mean(softplus(b - a) for a, b in zip(r, f, strict=True)),
        lambda r, f: mean(softplus(a - b) for a, b in zip(r, f, strict=True)),
    ),
]


@pytest.mark.parametrize(("game", "of_critic", "of_generator"), PLAIN)
def test_adversarial_losses_equal_plain_sums(game, of_critic, of_generator):
    real, fake = scores()
    r, f = real.tolist(), fake.tolist()
    found = game.critic_loss(real, fake), game.generator_loss(fake, lambda: real)
    torch.testing.assert_close(found[0].item(), of_critic(r, f))
    torch.testing.assert_close(found[1].item(), of_generator(r, f))


@pytest.mark.parametrize("game", [WGANGP(), Logistic(), Hinge()])
def test_only_the_relativistic_game_asks_for_real_scores_in_the_generators_turn(game):
    game.generator_loss(scores()[1], lambda: pytest.fail("asked"))


def critic():
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.Tanh(), nn.Linear(5, 1)).double()


def squared_slopes(net, x):
    """|grad D|^2 of each image, by the chain rule."""
    (w1, b1), (w2, _) = ((layer.weight, layer.bias) for layer in (net[1], net[3]))
    slopes = []
    for image in x:
        hidden = 1 - torch.tanh(w1 @ image.flatten() + b1) ** 2
        slopes.append(((w2[0] * hidden) @ w1).square().sum().item())
    return slopes


def images():
    torch.manual_seed(2)
    return torch.randn(2, 4, 3, 2, 2, dtype=torch.float64)


def rand(*shape):
    return torch.full(shape, 0.25, dtype=torch.float64)


def test_lazy_r1_is_paid_every_k_steps_and_weighs_in_the_mean_what_it_would_in_every_step():
    net, (x, x_fake) = critic(), images()
    game = Logistic(gamma=3.0, every=4)
    paid = [game.penalty(net, x, x_fake, rand, step) for step in range(8)]
    unlazy = 3.0 / 2 * mean(squared_slopes(net, x))
    assert [bool(p.terms) for p in paid] == [True, False, False, False] * 2
    torch.testing.assert_close(mean(p.loss.item() for p in paid), unlazy)
    torch.testing.assert_close(paid[4].terms["d_r1"].item(), mean(squared_slopes(net, x)))


def test_the_relativistic_game_pays_r1_and_r2_in_every_step():
    net, (x, x_fake) = critic(), images()
    r1, r2 = mean(squared_slopes(net, x)), mean(squared_slopes(net, x_fake))
    for step in (0, 1):
        paid = Relativistic(gamma=5.0).penalty(net, x, x_fake, rand, step)
        torch.testing.assert_close(paid.loss.item(), 2.5 * (r1 + r2))
    assert {name: term.item() for name, term in paid.terms.items()} == pytest.approx(
        {"d_r1": r1, "d_r2": r2}
    )


def test_wgan_gp_pays_between_the_images():
    net, (x, x_fake) = critic(), images()
    mixed = 0.25 * x + 0.75 * x_fake
    expected = 7 * mean((slope**0.5 - 1) ** 2 for slope in squared_slopes(net, mixed))
    paid = WGANGP(lambda_gp=7.0).penalty(net, x, x_fake, rand, 0)
    torch.testing.assert_close(paid.loss.item(), expected)


def test_hinge_pays_nothing():
    assert Hinge().penalty(critic(), *images(), rand, 0).terms == {}


def test_path_length_equals_a_jacobian_written_out():
    torch.manual_seed(3)
    generator = StyleGAN2Generator(16, 1, 8, 8, 64, 8, mapping_layers=1, noise="none").double()
    z, y = torch.randn(4, 8).double(), torch.randn(2, 1, 16, 16).double()
    game = Logistic(lambda_path=2.0, path_every=4)
    paid = [game.path_penalty(generator, z, lambda *_: y, step) for step in range(4)]
    assert [bool(p.terms) for p in paid] == [True, False, False, False]

    ws, lengths = generator.to_w(z[:2]).detach(), []
    for w, noise in zip(ws, y, strict=True):
        jacobian = torch.autograd.functional.jacobian(
            lambda w: generator.synthesis(w[None])[0].flatten(), w, vectorize=True
        )
        pulled = torch.einsum("plw,p->lw", jacobian, noise.flatten() / 16)  # sqrt(16 x 16)
        lengths.append((pulled.square().sum(dim=1).mean() ** 0.5).item())
    a = 0.01 * mean(lengths)  # the running mean, which starts at 0
    torch.testing.assert_close(game.path_mean.item(), a, rtol=1e-5, atol=0)
    expected = 2 * mean((length - a) ** 2 for length in lengths)
    torch.testing.assert_close(mean(p.loss.item() for p in paid), expected, rtol=1e-5, atol=0)
    paid[0].loss.backward()
    assert generator.mapping.body[0].weight.grad.abs().sum() > 0


def test_a_generator_without_w_has_no_path_length():
    with pytest.raises(InputError, match="Linear has no w: leave it at 0"):
        Logistic(lambda_path=2.0).path_penalty(nn.Linear(1, 1), torch.zeros(2, 1), rand, 0)


def test_a_critic_that_knows_its_images_has_r_t_1_and_one_at_a_loss_0():
    known, unknown = torch.tensor([3.0, 1.0, 2.0, 5.0]), torch.tensor([3.0, -1.0, 2.0, -5.0])
    fake = torch.tensor([-4.0, -2.0, -6.0, -4.0])
    assert Logistic().r_t(known, fake) == 1
    assert Logistic().r_t(unknown, fake) == 0
    # Where 0 means nothing, a constant added to all scores changes nothing.
    assert WGANGP().r_t(known + 9, fake + 9) == WGANGP().r_t(known, fake) == 1


def test_periods_below_one_are_refused():
    with pytest.raises(InputError, match=r"Logistic.every is 0: expected at least 1"):
        Logistic(every=0)
