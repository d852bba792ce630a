"""TransferGAN against its published losses, and what it takes from a source."""

import pytest
import tiny
import torch

from lit_synth.errors import InputError
from lit_synth.methods.transfergan import TransferGAN
from lit_synth.networks.small import SmallCritic, SmallGenerator
from lit_synth.releases.format import load_release
from lit_synth.stages import Stage

pytestmark = pytest.mark.usefixtures("workdir")


def transfergan(source="sources/plain", latent_dim=8, width=4, **settings):
    torch.manual_seed(0)
    networks = SmallGenerator(16, 1, latent_dim, width), SmallCritic(16, 1, width)
    return TransferGAN(*networks, [Stage("transfer", 2)], source, **({"n_critic": 1} | settings))


def equal_tensors(network, name):
    """Tell of each tensor whether it equals the source's."""
    source = load_release("sources/plain").network(name).state_dict()
    return [torch.equal(source[key], tensor) for key, tensor in network.state_dict().items()]


def test_losses_and_gradients_equal_the_published_formulas():
    method, x = transfergan(), tiny.images(6)
    before, rng, record = tiny.iterate(method, {"image": x})

    z = torch.randn(6, 8, generator=rng, dtype=torch.float64)
    alpha = torch.rand(6, 1, 1, 1, generator=rng, dtype=torch.float64)
    x_fake = before.generator(z).detach()
    loss = sum(before.critic(fake[None]) for fake in x_fake).squeeze() / 6
    loss = loss - sum(before.critic(real[None]) for real in x).squeeze() / 6
    loss = loss + 10 * tiny.slow_gradient_penalty(before.critic, x, x_fake, alpha)
    torch.testing.assert_close(record.losses[0], loss.detach())
    torch.testing.assert_close(record.of(0, "critic"), list(tiny.gradients(loss, before.critic)))

    z = torch.randn(6, 8, generator=rng, dtype=torch.float64)
    loss = -sum(method.critic(before.generator(each[None])) for each in z).squeeze() / 6
    torch.testing.assert_close(record.losses[1], loss.detach())
    torch.testing.assert_close(
        record.of(1, "generator"), list(tiny.gradients(loss, before.generator))
    )


@pytest.mark.parametrize(("init_g", "init_d"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_each_network_takes_all_or_nothing_from_the_source(init_g, init_d):
    method = transfergan(init_g=bool(init_g), init_d=bool(init_d))
    assert set(equal_tensors(method.generator, "generator")) == {bool(init_g)}
    assert set(equal_tensors(method.critic, "critic")) == {bool(init_d)}


def test_without_a_source_it_starts_from_scratch():
    method = transfergan(source=None)
    assert not any(equal_tensors(method.generator, "generator"))


def test_optimizers_start_without_moments():
    assert [dict(each.state) for each in transfergan().configure_optimizers()] == [{}, {}]


def test_frozen_critic_layers_keep_the_sources_weights():
    method = transfergan(freeze_d=2)
    tiny.fit(method, [{"image": tiny.images(6).float()}] * 2)
    kept = dict(
        zip(method.critic.state_dict(), equal_tensors(method.critic, "critic"), strict=True)
    )
    assert [name for name, same in kept.items() if same] == [
        "body.0.weight",
        "body.0.bias",
        "body.2.weight",
        "body.2.bias",
    ]


def test_critic_scores_nothing_unaugmented():
    method = transfergan(augment="cutout")
    seen = []
    method.critic.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    tiny.fit(method, [{"image": tiny.images(6).float()}])
    # Of an iteration's three calls the second takes the penalty, between images with two holes.
    scored = [x for call, x in enumerate(seen) if call % 3 != 1]
    assert [len(x) for x in scored] == [12, 6, 12, 6]
    assert all((each == 0).sum() >= 16 for x in scored for each in x)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"width": 8}, "'fc.weight' of SmallGenerator has shape"),
        ({"latent_dim": 16}, "'fc.weight' of SmallGenerator has shape"),
        ({"source": "sources/normed"}, "build the network with the source's arguments"),
        ({"source": "sources/none"}, "no release at 'sources/none'"),
        ({"freeze_d": 9}, "give a number from 0 to"),
        ({"augment": "blur"}, "'blur' is unknown"),
    ],
)
def test_what_does_not_fit_is_said_in_one_sentence(settings, said):
    with pytest.raises(InputError, match=said) as caught:
        transfergan(**settings)
    assert "\n" not in str(caught.value)


def test_a_network_that_is_no_generator_is_said():
    with pytest.raises(
        InputError, match="SmallCritic is used as a generator but has no latent_dim"
    ):
        TransferGAN(SmallCritic(16, 1, 4), SmallCritic(16, 1, 4), [Stage("transfer", 1)])
