"""Conditional TransferGAN against its published losses, and what it takes from a source."""

import pytest
import tiny
import torch

from lit_synth.methods.transfer_acgan import TransferACGAN
from lit_synth.networks.small import SmallCritic, SmallGenerator
from lit_synth.networks.wgan_gp_resnet import ResNetGenerator
from lit_synth.releases.format import load_release
from lit_synth.stages import Stage

ONE = [Stage("transfer", 1)]

pytestmark = pytest.mark.usefixtures("workdir")


def test_losses_and_gradients_equal_the_published_formulas():
    torch.manual_seed(0)
    networks = SmallGenerator(16, 1, 8, 4, num_classes=3), SmallCritic(16, 1, 4, num_classes=3)
    method = TransferACGAN(*networks, ONE, "sources/plain", alpha_g=0.7, alpha_d=0.3, n_critic=1)
    x, y = tiny.images(6), torch.tensor([0, 1, 2, 2, 1, 0])
    before, rng, record = tiny.iterate(method, {"image": x, "label": y})

    def draw():
        z = torch.randn(6, 8, generator=rng, dtype=torch.float64)
        return z, torch.randint(3, (6,), generator=rng)

    def log_probability(logits, labels):
        return torch.stack(
            [each.softmax(0)[k].log() for each, k in zip(logits, labels, strict=True)]
        )

    # L(D) = L_GAN(D) - alpha_D E[log P(C = y | x)], real images only (eq. 2.8).
    x_fake = before.generator(*draw()).detach()
    alpha = torch.rand(6, 1, 1, 1, generator=rng, dtype=torch.float64)
    scores, logits = before.critic(x)
    loss = before.critic(x_fake)[0].mean() - scores.mean() - 0.3 * log_probability(logits, y).mean()
    loss = loss + 10 * tiny.slow_gradient_penalty(lambda m: before.critic(m)[0], x, x_fake, alpha)
    torch.testing.assert_close(record.losses[0], loss.detach())
    torch.testing.assert_close(record.of(0, "critic"), list(tiny.gradients(loss, before.critic)))

    # L(G) = L_GAN(G) - alpha_G E[log P(C = y' | G(z, y'))] (eq. 2.7).
    z, wanted = draw()
    scores, logits = method.critic(before.generator(z, wanted))
    loss = -scores.mean() - 0.7 * log_probability(logits, wanted).mean()
    torch.testing.assert_close(record.losses[1], loss.detach())
    torch.testing.assert_close(
        record.of(1, "generator"), list(tiny.gradients(loss, before.generator))
    )


def test_class_wise_norms_start_as_copies_of_the_sources():
    torch.manual_seed(0)
    generator = ResNetGenerator(
        16, 1, 8, 4, num_classes=3, conditioning="bnorm", running_stats=True
    )
    method = TransferACGAN(generator, SmallCritic(16, 1, 4, num_classes=3), ONE, "sources/normed")
    source = load_release("sources/normed").network("generator")
    for name in ("norm1", "norm2"):
        ours = method.generator.body[0].get_submodule(name)
        theirs = source.body[0].get_submodule(name)
        for part in ("weight", "bias"):
            table, row = getattr(ours, part), getattr(theirs, part)
            assert table.shape == (3, *row.shape)
            assert all(torch.equal(each, row) for each in table)
    assert torch.equal(method.generator.fc.weight, source.fc.weight)


def test_classifier_head_starts_random_on_the_sources_features():
    def head(seed):
        torch.manual_seed(seed)
        networks = SmallGenerator(16, 1, 8, 4, num_classes=3), SmallCritic(16, 1, 4, num_classes=3)
        return TransferACGAN(*networks, ONE, "sources/plain").critic

    critic, other = head(0), head(1)
    source = load_release("sources/plain").network("critic").state_dict()
    assert all(torch.equal(critic.state_dict()[name], source[name]) for name in source)
    assert critic.class_logits.weight.std() > 0
    assert not torch.equal(critic.class_logits.weight, other.class_logits.weight)


def test_prior_takes_classes_in_turn():
    method, _ = tiny.build("transfer_acgan")
    assert method.prior(7, torch.Generator())["label"].tolist() == [0, 1, 2, 0, 1, 2, 0]
