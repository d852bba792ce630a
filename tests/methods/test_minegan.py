"""MineGAN against its published losses, and what its two stages and its selector must keep."""

import pytest
import tiny
import torch
from torch import nn
from torch.utils.data import DataLoader

from lit_synth.contracts.generator import mined_spaces
from lit_synth.errors import InputError
from lit_synth.losses.penalties import gradient_penalty
from lit_synth.methods.minegan import MineGAN, Selector
from lit_synth.methods.transfergan import TransferGAN
from lit_synth.networks.biggan import BigGANCritic, BigGANGenerator
from lit_synth.networks.dcgan import DCGANGenerator
from lit_synth.networks.pgan import PGANCritic, PGANGenerator
from lit_synth.networks.small import SmallCritic, SmallGenerator
from lit_synth.networks.wgan_gp_resnet import ResNetGenerator
from lit_synth.releases.format import load_release, save_release
from lit_synth.stages import Stage

ONE = ["sources/plain"]
THREE = ["sources/plain", "sources/other", "sources/normed"]
MINE = [Stage("mine", 2, freeze=["generators"])]

pytestmark = pytest.mark.usefixtures("workdir")


class Brightness(nn.Module):
    """A critic that prefers bright images, whatever it learns."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.gain.abs() * x.mean(dim=(1, 2, 3))


def minegan(sources=None, stages=None, **settings):
    torch.manual_seed(0)
    settings = {"u_dim": 4, "hidden": [8], "n_critic": 1} | settings
    return MineGAN(sources or THREE, stages or MINE, **settings)


def batches(count, n=8):
    return [{"image": tiny.images(n, seed=seed).float()} for seed in range(count)]


def supersample(method, u):
    """Make every image and score of K supersamples, one at a time: (K, N, ...) and (K, N)."""
    images = [
        torch.cat([method.mine(u[k : k + 1, i], i) for i in range(u.shape[1])])
        for k in range(len(u))
    ]
    return torch.stack(images), torch.stack([method.critic(each) for each in images])


def critic_loss(method, x, u, alpha):
    """Eq. 3.5 with the penalty between each real image and the winner of its supersample."""
    images, scores = supersample(method, u)
    best = scores.max(dim=1)
    winners = images[torch.arange(len(x)), best.indices]
    penalty = tiny.slow_gradient_penalty(method.critic, x, winners, alpha)
    return best.values.mean() - method.critic(x).mean() + 10 * penalty


@pytest.mark.parametrize("names", [ONE, THREE[1:], THREE])
def test_losses_and_gradients_equal_a_full_graph_over_all_members(names):
    method, x = minegan(names), tiny.images(6)
    before, rng, record = tiny.iterate(method, {"image": x})

    shape = 6, len(names), 4
    u = torch.randn(shape, generator=rng, dtype=torch.float64)
    alpha = torch.rand(6, 1, 1, 1, generator=rng, dtype=torch.float64)
    loss = critic_loss(before, x, u, alpha)
    torch.testing.assert_close(record.losses[0], loss.detach())
    torch.testing.assert_close(record.of(0, "critic"), list(tiny.gradients(loss, before.critic)))

    won = method.selector.probabilities() > 0
    assert won.sum() >= min(len(names), 2)  # else nothing is selected

    # The miners play against the critic that has just moved.
    before.critic.load_state_dict(method.critic.state_dict())
    u = torch.randn(shape, generator=rng, dtype=torch.float64)
    loss = -supersample(before, u)[1].max(dim=1).values.mean()
    torch.testing.assert_close(record.losses[1], loss.detach())
    for ours, slow in zip(record.of(1, "miners"), tiny.gradients(loss, before.miners), strict=True):
        # A miner that won nothing has no gradient here, and one of zeros there.
        torch.testing.assert_close(torch.zeros_like(slow) if ours is None else ours, slow)


def test_one_source_has_the_losses_of_a_single_gan():
    method, x = minegan(ONE), tiny.images(6)
    before, rng, record = tiny.iterate(method, {"image": x})
    u = torch.randn(6, 1, 4, generator=rng, dtype=torch.float64)[:, 0]
    alpha = torch.rand(6, 1, 1, 1, generator=rng, dtype=torch.float64)
    x_fake = before.generators[0](before.miners[0](u))
    d_loss = before.critic(x_fake).mean() - before.critic(x).mean()
    d_loss = d_loss + 10 * tiny.slow_gradient_penalty(before.critic, x, x_fake, alpha)
    u = torch.randn(6, 1, 4, generator=rng, dtype=torch.float64)[:, 0]
    m_loss = -method.critic(before.generators[0](before.miners[0](u))).mean()
    torch.testing.assert_close(torch.stack(record.losses), torch.stack([d_loss, m_loss]).detach())


@pytest.mark.parametrize("members", [2, 3])
def test_losers_get_no_gradient_and_of_many_members_no_graph(members):
    sources = ["sources/plain", "sources/other", "sources/plain"][:members]
    method = minegan(sources, critic=Brightness())
    for generator, shade in zip(method.generators, (5.0, -5.0, -5.0), strict=False):
        nn.init.constant_(generator.to_image.bias, shade)
    with_graph = []
    for member, generator in enumerate(method.generators):
        generator.register_forward_pre_hook(
            lambda _, args, member=member: (
                with_graph.append((member, len(args[0]))) if torch.is_grad_enabled() else None
            )
        )
    _, _, record = tiny.iterate(method, {"image": tiny.images(6)})
    assert with_graph == ([(0, 6), (1, 6)] if members == 2 else [(0, 6)])
    miners = record.gradients[1]
    assert all(g.abs().sum() > 0 for name, g in miners.items() if name.startswith("miners.0"))
    assert all(g is None for name, g in miners.items() if name.startswith("miners.1"))
    assert method.selector.probabilities().tolist() == [1.0] + [0.0] * (members - 1)


def test_mining_leaves_generators_bit_identical_and_moves_miners():
    method = minegan()
    before, record = tiny.state(method.generators), tiny.Minimized(method)
    tiny.fit(method, batches(2))
    after = tiny.state(method.generators)
    assert "2.norm.running_mean" in after
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(g is None for g in record.of(1, "generators"))
    assert sum(g.abs().sum() for g in record.of(1, "miners") if g is not None) > 0


def test_finetuning_moves_generators_but_not_their_running_statistics():
    method = minegan(["sources/normed"], [Stage("finetune", 2)])
    before = tiny.state(method.generators)
    tiny.fit(method, batches(2))
    moved = {
        name
        for name, tensor in method.generators.state_dict().items()
        if not torch.equal(tensor, before[name])
    }
    assert moved == {name for name, _ in method.generators.named_parameters()}


def test_thawed_generators_stay_in_eval_mode():
    method = minegan(stages=[*MINE, Stage("finetune", 1)])
    tiny.fit(method, batches(3))
    assert not method.generators[0].training
    assert method.critic.training
    assert all(parameter.requires_grad for parameter in method.generators.parameters())


def test_critic_starts_as_the_chosen_source_or_from_scratch():
    method = minegan(critic_from=1)
    source = load_release("sources/other").network("critic").state_dict()
    assert all(torch.equal(source[name], t) for name, t in method.critic.state_dict().items())
    own = Brightness()
    assert minegan(critic=own).critic is own


def test_conditional_source_has_a_member_per_class():
    method = minegan(["sources/conditional", "sources/plain"])
    assert method.members == [(0, 0), (0, 1), (0, 2), (1, None)]
    assert len(method.miners) == 4
    u = torch.randn(2, 4)
    z = method.miners[2](u)
    torch.testing.assert_close(method.mine(u, 2), method.generators[0](z, torch.tensor([2, 2])))


def test_source_with_a_classifying_critic_lends_its_unconditional_form():
    method = minegan(["sources/ac"])
    assert method.critic(torch.zeros(2, 1, 16, 16)).shape == (2,)
    tiny.fit(method, batches(2))


def test_generates_each_image_from_the_member_that_was_picked():
    method = minegan()
    method.selector.update(torch.tensor([0, 1, 1, 2]))
    u, r = torch.randn(5, 4), torch.tensor([0.9, 0.1, 0.4, 0.7, 0.2])
    alone = torch.cat(
        [method.mine(u[k : k + 1], member) for k, member in enumerate([2, 0, 1, 1, 0])]
    )
    torch.testing.assert_close(method.generate({"u": u, "r": r}), alone)


def mined_release(sources=None, folder="mined", **settings):
    """Mine for two iterations; return the method, and the folder of its release."""
    method = minegan(sources, **settings)
    tiny.fit(method, batches(2))
    networks, extra = method.release()
    return method, str(save_release(folder, networks, "# Mined\n", extra))


def test_a_mined_release_is_a_generator_of_normal_latents():
    method, folder = mined_release()
    generator = load_release(folder).network("generator")
    assert (generator.latent_dim, generator.num_classes) == (5, 0)
    u, s = torch.randn(6, 4), torch.linspace(-2, 2, 6)
    r = 0.5 * (1 + torch.erf(s / 2**0.5))  # uniform, since s is normal
    images = generator(torch.cat([u, s[:, None]], dim=1))
    torch.testing.assert_close(images, method.generate({"u": u, "r": r}))
    assert len(set(method.selector.pick(r).tolist())) > 1


def test_a_mined_release_is_mined_again():
    _, folder = mined_release()
    again, twice = mined_release([folder, "sources/other"], "twice")
    assert again.miners[0].latent_dim == 5
    assert torch.equal(
        again.generators[0].selector.probabilities(),
        load_release(folder).network("generator").selector.probabilities(),
    )
    thrice = load_release(twice).network("generator")
    z = torch.randn(4, 5)
    torch.testing.assert_close(thrice(z), again.mined(z))


def test_a_mined_release_is_finetuned_by_transfergan():
    _, folder = mined_release(stages=[Stage("finetune", 2)])
    method = TransferGAN(None, None, [Stage("train", 2)], source=folder, n_critic=1)
    start = tiny.draw(method)
    assert torch.equal(start, load_release(folder).network("generator")(prior_of(method)))
    before = tiny.state(method.generator)
    tiny.fit(method, batches(2))
    moved = tiny.changed_networks(before, tiny.state(method.generator))
    assert moved == {"generators", "miners"}


def prior_of(method, n=6, seed=3):
    return method.prior(n, torch.Generator().manual_seed(seed))["z"]


def test_generators_are_sources_too_but_bring_no_critic():
    source = load_release("sources/plain")
    method = minegan([source.network("generator")], critic=source.network("critic"))
    assert method.generators[0] is source.network("generator")
    with pytest.raises(InputError, match="position 0 brings no critic: choose another one"):
        minegan([source.network("generator"), "sources/other"])


def test_pixel_norm_reaches_every_miner():
    method = minegan(["sources/conditional", "sources/plain"], pixel_norm=True, mine_classes=True)
    for miner in (*method.miners, *method.class_miners.values()):
        assert [type(layer).__name__ for layer in miner.body] == ["Linear", "ReLU", "PixelNorm"]


def test_the_class_vector_is_mined_from_the_same_u():
    method = minegan(["sources/conditional", "sources/plain"], mine_classes=True)
    assert method.members == [(0, None), (1, None)]
    assert list(method.class_miners) == ["0"]
    generator, u = method.generators[0], torch.randn(3, 4)
    class_miner = method.class_miners["0"]
    h = generator.fc(method.miners[0](u)) + class_miner(u)
    expected = generator.to_image(generator.body(h.unflatten(1, (-1, 4, 4)))).tanh()
    torch.testing.assert_close(method.mine(u, 0), expected)
    # It starts among the class vectors of the source.
    vectors = generator.class_vectors()
    c = class_miner(torch.randn(20000, 4, generator=torch.Generator().manual_seed(1)))
    torch.testing.assert_close(c.mean(0), vectors.mean(0), atol=0.05, rtol=0.05)
    torch.testing.assert_close(c.std(0), vectors.std(0, correction=0), atol=0.05, rtol=0.05)


def test_gradient_reaches_the_miner_of_class_vectors_alone():
    method, folder = mined_release(["sources/conditional"], mine_classes=True)
    assert method.critic is not None
    before, record = tiny.state(method), tiny.Minimized(method)
    method.stages = [Stage("mine", 3, freeze=["generators"])]
    tiny.fit(method, batches(3))
    assert tiny.changed_networks(before, tiny.state(method)) - {"selector"} == {
        "critic",
        "miners",
        "class_miners",
    }
    assert all(g.abs().sum() > 0 for g in record.of(1, "class_miners"))
    generator, z = load_release(folder).network("generator"), torch.randn(3, 5)
    assert "0" in generator.class_miners
    assert generator(z).shape == (3, 1, 16, 16)


def test_a_source_without_class_vectors_is_not_mined_for_them():
    torch.manual_seed(0)
    generator = ResNetGenerator(16, 1, 8, 4, num_classes=3, conditioning="bnorm")
    with pytest.raises(InputError, match="ResNetGenerator has no class vectors to mine"):
        minegan([generator], critic=Brightness(), mine_classes=True)


class Mapped(nn.Module):
    """A generator with a w for each of two layers, the first of which scales a constant."""

    def __init__(self, num_classes=0):
        super().__init__()
        self.image_size, self.image_channels = 16, 1
        self.latent_dim, self.w_dim, self.num_classes = 8, 8, num_classes
        self.synthesis = TwoLayers()

    def to_w(self, z, label=None):
        w = 3 * z + 2 + (0 if label is None else 10 * label[:, None])
        return torch.stack([w, w], dim=1)

    def forward(self, z, label=None):
        return self.synthesis(self.to_w(z, label))


class TwoLayers(nn.Module):
    def __init__(self):
        super().__init__()
        self.const = nn.Parameter(torch.randn(8, 4, 4))
        self.to_image = nn.Conv2d(8, 16, 1)

    def forward(self, w, start=None):
        first, second = (w, w) if w.ndim == 2 else w.unbind(dim=1)
        start = self.const[None] if start is None else start
        h = self.to_image(start * first[:, :, None, None]) * second[:, :1, None, None]
        return torch.pixel_shuffle(h, 4).tanh()


@pytest.mark.parametrize(("num_classes", "mean"), [(0, 2), (3, 12)])
def test_w_is_mined_where_there_is_one_and_z_elsewhere(num_classes, mean):
    method = minegan([Mapped(num_classes), "sources/plain"], critic=Brightness(), mine_w=True)
    assert method.members == [(0, None), (1, None)]
    u = torch.randn(20000, 4, generator=torch.Generator().manual_seed(1))
    w = method.miners[0](u)
    expected = method.generators[0].synthesis(w[:5])
    torch.testing.assert_close(method.mine(u[:5], 0), expected)
    expected = method.generators[1](method.miners[1](u[:5]))
    torch.testing.assert_close(method.mine(u[:5], 1), expected)
    # It starts among the w of the source, of all its classes.
    torch.testing.assert_close(w.mean(), torch.tensor(float(mean)), atol=0.5, rtol=0)
    std = (3**2 + (100 * 2 / 3 if num_classes else 0)) ** 0.5
    torch.testing.assert_close(w.std(0).mean(), torch.tensor(std), atol=0.2, rtol=0)


@pytest.mark.parametrize("mine_w", [False, True])
def test_the_semantic_miner_starts_as_the_source_and_learns(mine_w):
    sources = [Mapped(), "sources/plain"]
    method = minegan(sources, critic=Brightness(), mine_w=mine_w, semantic=True)
    (miner,) = method.semantic_miners.values()
    generator, u = method.generators[0], torch.randn(3, 4)
    torch.testing.assert_close(miner()[0], generator.synthesis.const, atol=1e-4, rtol=1e-4)
    z = method.miners[0](u)
    expected = generator.synthesis(z if mine_w else generator.to_w(z), 2 * miner())
    miner.to_start.weight.data *= 2
    torch.testing.assert_close(method.mine(u, 0), expected)
    nn.init.constant_(method.generators[1].to_image.bias, -5.0)  # so that the other one wins
    before = tiny.state(method)
    tiny.fit(method, batches(2))
    moved = tiny.changed_networks(before, tiny.state(method))
    assert moved == {"critic", "miners", "semantic_miners", "selector"}


def test_generators_say_where_they_can_be_mined():
    conditional = SmallGenerator(16, 1, 8, 4, num_classes=3)
    assert mined_spaces(SmallGenerator(16, 1, 8, 4)) == {"z": 8}
    assert mined_spaces(conditional) == {"z": 8, "class": 4 * 4 * 4 * 4}
    assert mined_spaces(Mapped()) == {"z": 8, "w": 8}
    for asked in ("mine_w", "semantic"):
        with pytest.raises(InputError, match=f"{asked} is set, .* mined in class, z alone"):
            minegan([conditional], critic=Brightness(), **{asked: True})


def family_release(folder, generator, critic=None):
    """Write a release of an untrained pair, or of a generator alone."""
    networks = {"generator": generator} | ({"critic": critic} if critic else {})
    return str(save_release(folder, networks, "# Untrained\n"))


def test_a_critic_that_compares_images_sees_each_batch_by_itself():
    torch.manual_seed(0)
    source = family_release("pgan", PGANGenerator([4, 4, 4], 8, 1), PGANCritic([4, 4, 4], 1))
    method, x = minegan(["sources/plain", source], critic_from=1), tiny.images(8)
    before, rng, record = tiny.iterate(method, {"image": x})
    u = torch.randn(8, 2, 4, generator=rng, dtype=torch.float64)
    alpha = torch.rand(8, 1, 1, 1, generator=rng, dtype=torch.float64)
    images = torch.stack([before.mine(u[:, i], i) for i in range(2)], dim=1)
    winner = torch.stack([before.critic(images[:, i]) for i in range(2)], dim=1).argmax(dim=1)
    made = images[torch.arange(8), winner]
    loss = before.critic(made).mean() - before.critic(x).mean()
    loss = loss + 10 * gradient_penalty(before.critic, x, made, alpha)
    torch.testing.assert_close(record.losses[0], loss.detach())


def test_sources_of_two_families_go_on_bit_for_bit():
    torch.manual_seed(0)
    dcgan = family_release("dcgan", DCGANGenerator(16, 1, 6, 4))
    pgan = family_release("pgan", PGANGenerator([4, 4, 4], 8, 1), PGANCritic([4, 4, 4], 1))

    def mine(iterations, **start):
        stages = [Stage("mine", 1, freeze=["generators"]), Stage("finetune", iterations - 1)]
        method = minegan([dcgan, pgan], stages, critic_from=1, pixel_norm=True)
        run = tiny.trainer()
        run.fit(method, DataLoader(batches(1), batch_size=None), **start)
        run.save_checkpoint(f"{iterations}.ckpt")
        return method

    whole, half = tiny.state(mine(3)), tiny.state(mine(2))
    resumed = mine(3, ckpt_path="2.ckpt")
    assert not any(torch.equal(half[name], whole[name]) for name in half if "body.0" in name)
    assert all(torch.equal(tiny.state(resumed)[name], tensor) for name, tensor in whole.items())
    assert [miner.latent_dim for miner in resumed.miners] == [6, 8]


def test_a_source_without_critic_needs_a_new_one():
    alone = family_release("alone", DCGANGenerator(16, 1, 6, 4))
    with pytest.raises(InputError, match="give a new one as critic, which starts from scratch"):
        minegan([alone])
    with pytest.raises(InputError, match="alone brings no critic: give a new one as critic"):
        TransferGAN(None, None, [Stage("train", 1)], source=alone)
    critic = SmallCritic(16, 1, 4)
    start = tiny.state(critic)
    method = TransferGAN(None, critic, [Stage("train", 1)], source=alone)
    assert all(torch.equal(start[name], t) for name, t in method.critic.state_dict().items())
    assert torch.equal(
        method.generator.to_image.weight,
        load_release(alone).network("generator").to_image.weight,
    )


def test_orthogonal_miners_of_z_and_class_never_stretch():
    method = minegan(["sources/conditional"], orthogonal=True, mine_classes=True, u_dim=8)
    miner, class_miner = method.miners[0], method.class_miners["0"]
    tiny.fit(method, batches(2))
    a, b = torch.randn(2, 500, 8)
    assert ((miner(a) - miner(b)).norm(dim=1) <= 1.01 * (a - b).norm(dim=1)).all()
    vectors = method.generators[0].class_vectors()
    torch.testing.assert_close(class_miner.mean, vectors.mean(dim=0))
    torch.testing.assert_close(class_miner.std, vectors.std(dim=0, correction=0))
    with pytest.raises(InputError, match="orthogonal ones are linear"):
        minegan(orthogonal=True, pixel_norm=True)


def test_biggan_is_mined_by_z_and_class_with_its_critic_unconditional():
    torch.manual_seed(0)
    critic = BigGANCritic(64, 1, 2, 3, ())
    source = family_release("biggan", BigGANGenerator(64, 1, 10, 2, 3, 4, ()), critic)
    method = minegan([source], orthogonal=True, mine_classes=True, u_dim=10, hidden=[10])
    assert method.members == [(0, None)]
    assert method.critic.num_classes == 0
    assert torch.equal(method.critic.score.weight, critic.score.weight)
    before = tiny.state(method)
    tiny.fit(method, [{"image": tiny.images(2, 64, seed).float()} for seed in range(2)])
    moved = tiny.changed_networks(before, tiny.state(method))
    assert moved == {"critic", "miners", "class_miners", "selector"}


def test_an_older_release_brings_its_selector_back():
    """One of networks in a row, with the selector among its facts."""
    method = minegan()
    tiny.fit(method, batches(2))
    parts = {"critic": method.critic}
    parts |= {f"generator_{i}": g for i, g in enumerate(method.generators)}
    parts |= {f"miner_{i}": m for i, m in enumerate(method.miners)}
    tensors = {
        f"{name}.{key}": value
        for name, net in parts.items()
        for key, value in tiny.state(net).items()
    }
    again = minegan()
    again.restore(tensors, {"selector": method.selector.probabilities().tolist()})
    u, r = torch.randn(6, 4), torch.linspace(0.05, 0.95, 6)
    torch.testing.assert_close(again.selector.probabilities(), method.selector.probabilities())
    assert torch.equal(again.generate({"u": u, "r": r}), method.generate({"u": u, "r": r}))


def test_selector_is_the_mean_share_of_wins_over_its_window():
    selector = Selector(members=2, window=3)
    torch.testing.assert_close(selector.probabilities(), torch.tensor([0.5, 0.5]))
    wins = [[0, 0, 0, 0], [0, 0, 1, 1], [1, 1, 1, 1], [1, 1, 1, 0], [0, 1, 1, 1]]
    shares = torch.tensor([[w.count(0) / 4, w.count(1) / 4] for w in wins])
    for count, winner in enumerate(wins, start=1):
        selector.update(torch.tensor(winner))
        p = selector.probabilities()
        torch.testing.assert_close(p, shares[max(count - 3, 0) : count].mean(dim=0))
        assert p.sum().item() == pytest.approx(1)


def test_selector_travels_in_the_checkpoint():
    method = minegan()
    tiny.fit(method, batches(2)).save_checkpoint("saved.ckpt")
    assert method.selector.count == 2
    again = minegan()
    again.load_state_dict(torch.load("saved.ckpt", weights_only=True)["state_dict"])
    assert again.selector.count == 2
    assert torch.equal(again.selector.probabilities(), method.selector.probabilities())


def test_picks_follow_the_selector_and_never_a_member_without_wins():
    selector = Selector(members=4, window=1)
    selector.update(torch.tensor([1] * 3 + [3] * 7))
    r = torch.arange(1000) / 1000
    assert torch.bincount(selector.pick(r), minlength=4).tolist() == [0, 300, 0, 700]
    assert selector.pick(torch.tensor([0.0, 1 - 2**-24])).tolist() == [1, 3]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"sources": ["sources/plain", "sources/larger"]}, "1 x 32 x 32"),
        ({"sources": ["sources/plain"], "critic_from": 1}, "critic_from is 1"),
        ({"sources": ["sources/none"]}, "no release at 'sources/none'"),
        ({"stages": [Stage("mine", 1, freeze=["generator"])]}, "'generator'"),
    ],
)
def test_what_cannot_be_mined_is_said_in_one_sentence(settings, said):
    with pytest.raises(InputError, match=said) as caught:
        tiny.fit(minegan(**settings), batches(1))
    assert "\n" not in str(caught.value)


def test_no_source_at_all_is_said():
    with pytest.raises(InputError, match="sources is empty"):
        MineGAN([], MINE)
