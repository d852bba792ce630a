"""StarGAN v2 and ReMix: updates against the authors' arrangement, mixtures and their losses."""

import copy
from dataclasses import replace

import pytest
import tiny
import tiny_domains
import torch
from stargan_v2_plainly import blocks_as_released, iteration

from lit_synth.augment.feature_mix import ReMix, greater_side
from lit_synth.baselines.stargan_v2 import StarGANv2
from lit_synth.contracts.translator import HasStyles, ReadsStyles, Translation, Translator
from lit_synth.errors import InputError
from lit_synth.networks import (
    StarGANv2Discriminator,
    StarGANv2Encoder,
    StarGANv2Generator,
    StarGANv2Mapping,
)

pytestmark = pytest.mark.usefixtures("workdir")

K, LATENT, STYLE = 3, 2, 3
DARK_TO_GREY = Translation(("dark",), ("grey",))
PLAYERS = ("generator", "mapping", "style_encoder", "discriminator")


def doubled(**settings):
    method, _ = tiny.build("translation/stargan_v2", **settings)
    return method.double()


def in_double(batch):
    return {
        name: {key: v.double() if v.is_floating_point() else v for key, v in each.items()}
        for name, each in batch.items()
    }


def plainly(method, batch, rng):
    """Return the gradients of each of four updates, by network, none having moved."""
    x = torch.stack([batch[name][name] for name in method.domains], 1).flatten(0, 1)
    n = len(x)
    y = torch.arange(n) % K
    pairs = torch.randint(K, (n,), generator=rng)
    t, reference, second = [], [], []
    for i in range(n):
        j = i // K
        other = j + 1 if j % 2 == 0 else j - 1
        t.append(int(pairs[min(i, other * K + i % K)]))
        reference.append(other * K + t[-1])
        second.append(j * K + t[-1])
    plan = type("Plan", (), {"t": torch.tensor(t), "reference": reference, "second": second})
    z, z_2 = (torch.randn(n, LATENT, generator=rng, dtype=torch.float64) for _ in range(2))
    found = []

    def minimize(loss, players):
        method.zero_grad()
        loss.backward()
        found.append(
            {
                name: [p.grad.clone() for p in method.get_submodule(name).parameters()]
                for name in players
            }
        )

    with blocks_as_released():
        iteration(method, x, y, plan, z, z_2, minimize, method.lambda_ds)
    return found


def test_four_updates_have_the_gradients_of_the_authors_arrangement():
    batch = in_double(tiny_domains.batch())
    method = doubled(lr=0.0, f_lr=0.0, lambda_sty=0.7, lambda_ds=1.3, lambda_cyc=2.0)
    tiny.randomise(method, torch.Generator().manual_seed(2))
    before, rng, record = tiny.iterate(method, batch)
    expected = plainly(before, batch, rng)
    assert len(record.gradients) == len(expected) == 4
    for call, of_call in enumerate(expected):
        for name in PLAYERS:
            got = record.of(call, name)
            for ours, theirs in zip(got, of_call.get(name, []), strict=name in of_call):
                ours = torch.zeros_like(theirs) if ours is None else ours  # a domain not asked for
                torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-7)


def test_encoder_and_mapping_do_not_learn_by_references():
    _, _, record = tiny.iterate(doubled(), in_double(tiny_domains.batch()))
    assert record.moved[2] == {"generator", "mapping", "style_encoder"}
    assert record.moved[3] == {"generator"}
    for name in ("mapping", "style_encoder"):
        assert all(gradient is None for gradient in record.of(3, name))


def test_the_weight_of_diversity_falls_to_zero_and_stays_there():
    losses = {}
    for ds_iterations, weight in ((2, 1.0), (2, 0.0)):
        method = doubled(lr=0.0, f_lr=0.0, lambda_ds=weight, ds_iterations=ds_iterations)
        method.stages = [replace(method.stages[0], iterations=4)]
        terms, record = tiny.tracked_terms(method), tiny.Minimized(method)
        tiny.fit(method, [in_double(tiny_domains.batch())] * 4, precision="64-true")
        ds = [t["g_ds_latent"] for t in terms if "g_ds_latent" in t]
        losses[weight] = record.losses[2::4], ds
    for k, share in enumerate((1.0, 0.5, 0.0, 0.0)):
        difference = losses[0.0][0][k] - losses[1.0][0][k]
        assert float(difference) == pytest.approx(share * losses[1.0][1][k], abs=1e-9)


def test_translates_in_drawn_and_in_read_styles():
    method = doubled()
    for contract in (Translator, HasStyles, ReadsStyles):
        assert isinstance(method, contract)
    assert method.style_dim == LATENT
    x = tiny.images(4)
    z, grey = torch.randn(4, LATENT).double(), torch.ones(4, dtype=torch.int64)
    made = method.translate({"dark": x, "style": z}, DARK_TO_GREY)
    torch.testing.assert_close(made, method.generator(x, method.mapping(z, grey)))
    mean = method.translate({"dark": x}, DARK_TO_GREY)
    assert torch.equal(
        mean, method.translate({"dark": x, "style": torch.zeros_like(z)}, DARK_TO_GREY)
    )
    s = method.read_styles(x.flip(0), "grey")
    torch.testing.assert_close(s, method.style_encoder(x.flip(0), grey))
    torch.testing.assert_close(
        method.translate({"dark": x, "style": s}, DARK_TO_GREY), method.generator(x, s)
    )


def test_edges_stay_where_images_say_so():
    wide = StarGANv2Generator(1, 64, 4, style_dim=STYLE, high_pass=1.0)
    judges = {"style_encoder": StarGANv2Encoder(1, 64, K, 4, style_dim=STYLE)}
    judges["discriminator"] = StarGANv2Discriminator(1, 64, K, 4)
    stages = tiny.build("translation/stargan_v2")[0].stages
    names = list(tiny_domains.DOMAINS)
    method = StarGANv2(**networks() | judges | {"generator": wide}, domains=names, stages=stages)
    x, edges, s = torch.rand(2, 1, 64, 64), torch.rand(2, 2, 64, 64), torch.randn(2, STYLE)
    asked = {"dark": x, "style": s}
    expected = wide(x, s, (edges[:, :1], edges[:, 1:]))
    torch.testing.assert_close(method.translate(asked | {"edges": edges}, DARK_TO_GREY), expected)
    torch.testing.assert_close(method.translate(asked, DARK_TO_GREY), wide(x, s))
    assert not torch.equal(wide(x, s), expected)
    method, _ = tiny.build("translation/stargan_v2")  # without such a path they say nothing
    x = torch.rand(2, 1, 16, 16)
    asked = {"dark": x, "style": s}
    made = method.translate(asked | {"edges": edges}, DARK_TO_GREY)
    assert torch.equal(made, method.translate(asked, DARK_TO_GREY))


def test_warms_up_by_remaking_images():
    method, data = tiny.build("translation/stargan_v2")
    method.stages = [replace(method.stages[0], iterations=2, weights={"identity": 1.0})]
    record = tiny.Minimized(method)
    tiny.fit(method, data)
    assert record.moved == 2 * [{"generator", "style_encoder"}]
    assert StarGANv2.players_at(0, method.stages[0], {}) == ["generator"]


def networks(n=K, style=STYLE, latent=LATENT, size=16):
    return {
        "generator": StarGANv2Generator(1, 16, 4, style_dim=style),
        "mapping": StarGANv2Mapping(K, latent, STYLE, 8),
        "style_encoder": StarGANv2Encoder(1, 16, n, 4, style_dim=STYLE),
        "discriminator": StarGANv2Discriminator(1, size, K, 4),
    }


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"n": 2}, "style_encoder has n_domains 2, but domains names 3, dark, grey, bright"),
        ({"style": 5}, "style_dim is 5 in the generator, 3 in the mapping"),
        ({"latent": 3}, "what is drawn and what is read are told by their length"),
        ({"size": 32}, "discriminator has image_size 32 and the generator 16"),
    ],
)
def test_networks_that_do_not_fit_are_refused(changed, said):
    stages = tiny.build("translation/stargan_v2")[0].stages
    with pytest.raises(InputError, match=said):
        StarGANv2(**networks(**changed), domains=list(tiny_domains.DOMAINS), stages=stages)


def test_one_domain_and_odd_batches_are_refused():
    stages = tiny.build("translation/stargan_v2")[0].stages
    with pytest.raises(InputError, match="name two domains or more"):
        StarGANv2(**networks(), domains=["dark"], stages=stages)
    method, _ = tiny.build("translation/stargan_v2")
    with pytest.raises(InputError, match="there are 3 images of each domain in a batch"):
        tiny.fit(method, [tiny_domains.batch(3)])


# ReMix.


def test_no_mixtures_are_the_plain_method_bit_for_bit():
    states = []
    for remix in (None, {"class_path": "ReMix", "init_args": {"p": 0.0}}):
        method, data = tiny.build("translation/stargan_v2", remix=remix)
        tiny.fit(method, data)
        states.append({k: v for k, v in tiny.state(method).items() if not k.startswith("remix")})
    assert all(torch.equal(states[0][key], value) for key, value in states[1].items())


def test_shares_are_the_greater_side_of_a_beta_distribution():
    u = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    for beta in (0.2, 1.0, 3.0):
        lam = greater_side(u, beta)
        assert lam.min() >= 0.5
        assert lam.max() <= 1
        torch.manual_seed(0)
        mu = torch.distributions.Beta(torch.tensor(beta).double(), beta).sample((200_000,))
        drawn = torch.maximum(mu, 1 - mu).sort().values
        assert float((drawn - lam.sort().values).abs().mean()) < 0.002


def test_relative_losses_are_hinges_on_distances():
    code, first, second, other = torch.randn(4, 5, 6, dtype=torch.float64).unbind()
    for inputs in (first, second, other):
        inputs.requires_grad_()
    code.requires_grad_()
    for hinge in ("sample", "element"):
        remix = ReMix(hinge=hinge).double()
        p, n = remix(code, first, second, other)
        d = [(code - t).abs() for t in (first, second, other)]
        if hinge == "sample":
            d = [each.mean(1) for each in d]
        a = d[2].mean().detach()
        torch.testing.assert_close(p, (d[0] - d[1]).clamp(min=0).mean())
        torch.testing.assert_close(n, (d[1] - a).clamp(min=0).mean())
        (slope,) = torch.autograd.grad(p + n, code, retain_graph=True)
        assert slope.abs().sum() > 0
        assert torch.autograd.grad(p + n, [first, second, other], allow_unused=True) == (None,) * 3
        assert not remix.others.requires_grad


@pytest.mark.parametrize(("mean", "share"), [("average", 1.0), ("halved", 0.5)])
def test_running_mean_of_others(mean, share):
    remix, zero = ReMix(mean=mean), torch.zeros(3, 2)
    remix(zero, zero, zero, zero + 4)
    assert float(remix.others) == pytest.approx(4 if mean == "average" else 0.04)
    remix(zero, zero, zero, zero + 8)
    expected = 4 + 0.01 * 4 if mean == "average" else 0.99 * 0.04 + 0.01 * (8 - 0.04)
    assert float(remix.others) == pytest.approx(expected)
    for _ in range(1000):
        remix(zero, zero, zero, zero + 8)
    assert float(remix.others) == pytest.approx(8 * share, rel=1e-3)


def test_mixtures_are_of_partners_on_their_way_to_one_domain():
    method = doubled(remix={"class_path": "ReMix", "init_args": {"p": 1.0}})
    x, y = method.images(in_double(tiny_domains.batch()))
    plan = method.plan(y)
    assert torch.equal(plan.y[plan.partner], plan.y)
    assert torch.equal(plan.t[plan.partner], plan.t)
    assert torch.equal(plan.y[plan.reference], plan.t)
    assert torch.equal(plan.y[plan.second], plan.t)
    assert not (plan.partner == torch.arange(len(x))).any()
    assert not (plan.reference == plan.second).any()
    e, s = method.generator.encode(x)[0], torch.randn(len(x), STYLE).double()
    made, lam = method.made(e, s, plan), plan.share
    wide = lam[:, :, None, None]
    e_mix = wide * e + (1 - wide) * e[plan.partner]
    s_mix = lam * s + (1 - lam) * s[plan.partner]
    torch.testing.assert_close(made.x_mix, method.generator.decode(e_mix, s_mix))


@pytest.mark.parametrize("sees", ["plain", "mix", "both"])
def test_discriminator_sees_what_it_is_to_see(sees):
    remix = {"class_path": "ReMix", "init_args": {"p": 1.0, "discriminator_sees": sees}}
    method = doubled(remix=remix)
    x, y = method.images(in_double(tiny_domains.batch()))
    made = method.made(
        method.generator.encode(x)[0], torch.randn(len(x), STYLE).double(), method.plan(y)
    )
    shown = [copy.copy(image) for image in method.shown(made)]
    expected = {"plain": [made.x_fake], "mix": [made.x_mix], "both": [made.x_fake, made.x_mix]}
    assert len(shown) == len(expected[sees])
    assert all(torch.equal(a, b) for a, b in zip(shown, expected[sees], strict=True))


def test_bad_shares_are_refused():
    with pytest.raises(InputError, match=r"ReMix.p is 1.5: expected a share of iterations"):
        ReMix(p=1.5)
    with pytest.raises(InputError, match=r"ReMix.beta is 0: expected more than 0"):
        ReMix(beta=0)
