"""DRIT against its published losses."""

import copy
import math

import pytest
import tiny
import tiny_domains
import torch

from lit_synth.baselines.drit import DRIT, undecided
from lit_synth.contracts.translator import HasStyles, ReadsStyles, Translation
from lit_synth.errors import InputError
from lit_synth.networks import (
    DRITAttributeEncoder,
    DRITContentDiscriminator,
    DRITContentEncoder,
    DRITGenerator,
    DRITSharedLayer,
    MultiScaleDiscriminator,
)
from lit_synth.stages import Stage

A, B, STYLE, CONTENT = "dark", "bright", 3, (8, 8, 8)
WEIGHTS = {
    "lambda_content": 2.0,
    "lambda_domain": 3.0,
    "lambda_cc": 5.0,
    "lambda_recon": 7.0,
    "lambda_latent": 11.0,
    "lambda_kl": 13.0,
}


def drit(iterations=1, **settings):
    torch.manual_seed(0)
    networks = {
        "content_encoder": DRITContentEncoder(1, 4, n_down=1, n_blocks=1),
        "shared_layer": DRITSharedLayer(8),
        "attribute_encoder": DRITAttributeEncoder(1, [4, 8], STYLE),
        "generator": DRITGenerator(1, 4, n_down=1, n_blocks=1, style_dim=STYLE),
        "discriminator": MultiScaleDiscriminator(1, [4, 8], scales=2),
        "content_discriminator": DRITContentDiscriminator(8, [8], head_size=2),
    }
    stages = [Stage("train", iterations)]
    return DRIT(**networks, stages=stages, **({"a": A, "b": B} | settings))


def cross_entropy(scores, target):
    p = scores.sigmoid()
    return -(target * p.log() + (1 - target) * (1 - p).log()).mean()


def norm(gradients):
    return math.sqrt(sum(g.square().sum().item() for g in gradients))


@pytest.mark.parametrize("lambda_ms", [0.0, 17.0])
def test_losses_and_gradients_equal_the_published_formulas(lambda_ms):
    method, batch, n = drit(d_iter=1, lambda_ms=lambda_ms, **WEIGHTS), tiny_domains.batch(2), 2
    before, rng, record = tiny.iterate(method, batch)
    x_a, x_b = batch[A][A].double(), batch[B][B].double()

    def randn(*shape):
        return torch.randn(*shape, generator=rng, dtype=torch.float64)

    def content(x, domain):
        return before.shared_encoder(before.content_encoders[domain](x))

    def make(c, s, domain):
        return before.generators[domain](before.shared_generator(c), s)

    noise_a, noise_b = randn(n, *CONTENT), randn(n, *CONTENT)
    c_a, c_b = content(x_a, A) + noise_a, content(x_b, B) + noise_b
    judge = before.content_discriminator
    loss = cross_entropy(judge(c_a.detach()), 0) + cross_entropy(judge(c_b.detach()), 1)
    torch.testing.assert_close(record.losses[0], loss.detach())
    slow = tiny.gradients(loss, judge)
    cut = min(1, 5 / norm(slow))
    torch.testing.assert_close(record.of(0, "content_discriminator"), [cut * g for g in slow])

    z_a, z_b = (randn(2 * n if lambda_ms else n, STYLE) for _ in range(2))
    q_a, q_b = before.attribute_encoders[A](x_a), before.attribute_encoders[B](x_b)
    s_a = q_a[0] + q_a[1].exp().sqrt() * randn(n, STYLE)
    s_b = q_b[0] + q_b[1].exp().sqrt() * randn(n, STYLE)
    u, v = make(c_b, s_a, A), make(c_a, s_b, B)
    repeats = 2 if lambda_ms else 1
    u_random = make(torch.cat(repeats * [c_b]), z_a, A)
    v_random = make(torch.cat(repeats * [c_a]), z_b, B)
    for call, network, fakes in (
        (1, "encoded_discriminators", (u, v)),
        (1, "random_discriminators", (u_random, v_random)),
    ):
        judges = getattr(before, network)
        terms = []
        for x, fake, domain in zip((x_a, x_b), fakes, (A, B), strict=True):
            terms += [cross_entropy(t, 1) for t in judges[domain](x)]
            terms += [cross_entropy(t, 0) for t in judges[domain](fake.detach())]
        slow = tiny.gradients(sum(terms), judges)
        torch.testing.assert_close(record.of(call, network), list(slow))

    judge = method.content_discriminator
    loss = 2 * (cross_entropy(judge(c_a), 0.5) + cross_entropy(judge(c_b), 0.5))
    for x_fake, judges, domain in (
        (u, method.encoded_discriminators, A),
        (v, method.encoded_discriminators, B),
        (u_random, method.random_discriminators, A),
        (v_random, method.random_discriminators, B),
    ):
        loss = loss + 3 * sum(cross_entropy(t, 1) for t in judges[domain](x_fake))
    c_back_b = content(u, A) + randn(n, *CONTENT)
    c_back_a = content(v, B) + randn(n, *CONTENT)
    p_a, p_b = before.attribute_encoders[A](u), before.attribute_encoders[B](v)
    s_back_a = p_a[0] + p_a[1].exp().sqrt() * randn(n, STYLE)
    s_back_b = p_b[0] + p_b[1].exp().sqrt() * randn(n, STYLE)
    loss = loss + 5 * (make(c_back_a, s_back_a, A) - x_a).abs().mean()
    loss = loss + 5 * (make(c_back_b, s_back_b, B) - x_b).abs().mean()
    loss = loss + 7 * (make(c_a, s_a, A) - x_a).abs().mean()
    loss = loss + 7 * (make(c_b, s_b, B) - x_b).abs().mean()
    # The attribute encoders are not moved by how well random attributes are read.
    readers = copy.deepcopy(before.attribute_encoders).requires_grad_(False)
    loss = loss + 11 * (readers[A](u_random)[0] - z_a).abs().mean()
    loss = loss + 11 * (readers[B](v_random)[0] - z_b).abs().mean()
    for mean, log_variance in (q_a, q_b):
        kl = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum() / n
        loss = loss + 13 * kl
    loss = loss + 13 * (c_a.square().mean() + c_b.square().mean())
    if lambda_ms:
        for y, z in ((u_random, z_a), (v_random, z_b)):
            ratio = (y[n:] - y[:n]).abs().mean() / (z[n:] - z[:n]).abs().mean()
            loss = loss + 17 / (ratio + 1e-5)
    torch.testing.assert_close(record.losses[2], loss.detach())
    players = ("content_encoders", "shared_encoder", "attribute_encoders")
    for name in (*players, "shared_generator", "generators"):
        slow = tiny.gradients(loss, getattr(before, name))
        torch.testing.assert_close(record.of(2, name), list(slow))


def test_content_discriminator_moves_alone_in_two_of_three_iterations():
    method = drit(iterations=6)
    record = tiny.Minimized(method)
    tiny.fit(method, 6 * [tiny_domains.batch(2)])
    alone = [{"content_discriminator"}, {"content_discriminator"}]
    together = [len(moved) for moved in record.moved[2:5]]
    assert record.moved[:2] == record.moved[5:7] == alone
    assert together == [1, 2, 5]
    assert len(record.moved) == 10
    rates = [optimizer.param_groups[0]["lr"] for optimizer in method.optimizers()]
    assert rates == pytest.approx([1e-4, 1e-4, 4e-5])


def test_only_the_content_discriminators_gradient_is_cut():
    method, batch = drit(d_iter=1, lambda_recon=1e4), tiny_domains.batch(2)
    with torch.no_grad():
        for parameter in method.content_discriminator.parameters():
            parameter *= 30
    _, _, record = tiny.iterate(method, batch)
    assert norm(record.of(0, "content_discriminator")) == pytest.approx(5, rel=1e-5)
    assert norm(record.of(2, "generators")) > 50


def test_generators_push_the_content_score_to_one_half():
    scores = torch.tensor([-2.0, 0.0, 3.0], requires_grad=True)
    (slope,) = torch.autograd.grad(undecided(scores), scores)
    assert slope.sign().tolist() == [-1, 0, 1]
    assert undecided(torch.zeros(4)).item() == pytest.approx(math.log(2))


def test_the_last_layer_of_content_is_one_for_both_domains():
    method, x = drit(), tiny.images(2).float()
    with torch.no_grad():
        before = {i: method.content(x, i) for i in (A, B)}
        assert not torch.equal(before[A], before[B])
        ours, theirs = method.shared_encoder.parameters(), method.shared_generator.parameters()
        assert not any(torch.equal(p, q) for p, q in zip(ours, theirs, strict=True))
        for parameter in method.shared_encoder.parameters():
            parameter.zero_()
        for domain in (A, B):
            own = method.content_encoders[domain](x)
            torch.testing.assert_close(method.content(x, domain), own)
            assert not torch.allclose(before[domain], own)


def test_a_translation_takes_content_without_noise_and_the_style_that_is_asked_for():
    method, x = drit().eval(), {A: tiny.images(2).float()}
    there = Translation((A,), (B,))
    assert method.translations() == [there, Translation((B,), (A,))]
    assert isinstance(method, HasStyles)
    assert isinstance(method, ReadsStyles)
    assert method.style_dim == STYLE
    style = torch.randn(2, STYLE)
    with torch.no_grad():
        c = method.shared_encoder(method.content_encoders[A](x[A]))
        for given, s in ((x, torch.zeros(2, STYLE)), (x | {"style": style}, style)):
            made = method.generators[B](method.shared_generator(c), s)
            torch.testing.assert_close(method.translate(given, there), made)
        mean, _ = method.attribute_encoders[B](x[A])
    torch.testing.assert_close(method.read_styles(x[A], B), mean)


def test_two_domains_of_one_name_are_refused():
    with pytest.raises(InputError, match="both domains are called 'dark'"):
        drit(b=A)
