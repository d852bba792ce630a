"""MineGAN against its published losses, and what its two stages and its selector must keep."""

import pytest
import tiny
import torch
from torch import nn

from lit_synth.errors import InputError
from lit_synth.methods.minegan import MineGAN, Selector
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


@pytest.mark.parametrize("names", [ONE, THREE])
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


def test_losers_get_no_gradient_and_no_graph():
    method = minegan(["sources/plain", "sources/other"], critic=Brightness())
    for generator, shade in zip(method.generators, (5.0, -5.0), strict=True):
        nn.init.constant_(generator.to_image.bias, shade)
    with_graph = []
    for member, generator in enumerate(method.generators):
        generator.register_forward_pre_hook(
            lambda _, args, member=member: (
                with_graph.append((member, len(args[0]))) if torch.is_grad_enabled() else None
            )
        )
    _, _, record = tiny.iterate(method, {"image": tiny.images(6)})
    assert with_graph == [(0, 6)]
    miners = record.gradients[1]
    assert all(g.abs().sum() > 0 for name, g in miners.items() if name.startswith("miners.0"))
    assert all(g is None for name, g in miners.items() if name.startswith("miners.1"))
    torch.testing.assert_close(method.selector.probabilities().float(), torch.tensor([1.0, 0.0]))


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


def test_release_generates_the_same_without_the_method():
    method = minegan()
    tiny.fit(method, batches(2))
    networks, extra = method.release()
    release = load_release(save_release("release", networks, "# Mined\n", extra))
    u, r = torch.randn(6, 4), torch.linspace(0.05, 0.95, 6)
    picked = torch.bucketize(r, torch.tensor(release.extra["selector"]).cumsum(0), right=True)
    images = [
        release.networks[f"generator_{release.extra['members'][m][0]}"](
            release.networks[f"miner_{m}"](u[k : k + 1])
        )
        for k, m in enumerate(picked.tolist())
    ]
    torch.testing.assert_close(method.generate({"u": u, "r": r}), torch.cat(images))


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
