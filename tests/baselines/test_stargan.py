"""StarGAN against its published losses."""

import pytest
import tiny
import tiny_domains
import torch

from lit_synth.baselines import StarGAN
from lit_synth.batches.labels import labelled
from lit_synth.contracts.translator import Translation
from lit_synth.errors import InputError
from lit_synth.networks import StarGANDiscriminator, StarGANGenerator
from lit_synth.stages import Stage

DOMAINS = list(tiny_domains.DOMAINS)
WEIGHTS = {"lambda_adv": 3.0, "lambda_gp": 7.0, "lambda_cls": 2.0, "lambda_rec": 5.0}


def stargan(stages=None, domains=DOMAINS, **settings):
    torch.manual_seed(0)
    make = StarGANGenerator(1, len(domains), width=4, n_down=1, n_blocks=1)
    judge = StarGANDiscriminator(1, 16, len(domains), width=4, n_layers=2)
    settings = WEIGHTS | {"n_critic": 1, "stages": stages or [Stage("train", 1)]} | settings
    return StarGAN(make, judge, domains, **settings)


def faces(n=6):
    """Return a batch with two attributes, of which an image may have none, one or both."""
    attributes = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1], [1, 1], [0, 1]])[:n]
    return {"faces": {"image": tiny.images(n).float(), "attributes": attributes}}


def cross_entropy(logits, c):
    return -(logits.log_softmax(dim=1) * c).sum() / len(c)


def binary(logits, c):
    p = logits.sigmoid()
    return -(c * p.log() + (1 - c) * (1 - p).log()).sum() / len(c)


@pytest.mark.parametrize("exclusive", [True, False])
def test_losses_and_gradients_equal_the_published_formulas(exclusive):
    names = DOMAINS if exclusive else ["hat", "smile"]
    batch, classify = (tiny_domains.batch(2), cross_entropy) if exclusive else (faces(), binary)
    method = stargan(domains=names, exclusive=exclusive)
    before, rng, record = tiny.iterate(method, batch)
    x, c = (each.double() for each in labelled(batch, names))
    make, judge, n = before.generator, before.discriminator, len(x)

    c_trg = c[torch.randperm(n, generator=rng)]
    alpha = torch.rand(n, 1, 1, 1, generator=rng, dtype=torch.float64)
    x_fake = make(x, c_trg).detach()
    real, logits = judge(x)
    loss = 3 * (judge(x_fake)[0].mean() - real.mean()) + 2 * classify(logits, c)
    loss = loss + 7 * tiny.slow_gradient_penalty(lambda mix: judge(mix)[0], x, x_fake, alpha)
    torch.testing.assert_close(record.losses[0], loss.detach())
    torch.testing.assert_close(record.of(0, "discriminator"), list(tiny.gradients(loss, judge)))

    judge = method.discriminator
    x_fake = make(x, c_trg)
    fake, logits = judge(x_fake)
    loss = -3 * fake.mean() + 2 * classify(logits, c_trg) + 5 * (make(x_fake, c) - x).abs().mean()
    torch.testing.assert_close(record.losses[1], loss.detach())
    torch.testing.assert_close(record.of(1, "generator"), list(tiny.gradients(loss, make)))


def test_a_warm_up_reconstructs_and_moves_the_generator_alone():
    method = stargan([Stage("warm-up", 1, weights={"identity": 4.0})])
    batch = tiny_domains.batch(2)
    before, _, record = tiny.iterate(method, batch)
    x, c = (each.double() for each in labelled(batch, DOMAINS))
    loss = 4 * (before.generator(x, c) - x).abs().mean().detach()
    torch.testing.assert_close(record.losses, [loss])
    assert record.moved == [{"generator"}]


def test_translates_to_the_targets_label():
    method, x = stargan().eval(), {"grey": tiny.images(3).float()}
    assert len(method.translations()) == 6
    label = torch.tensor([[1.0, 0, 0]]).repeat(3, 1)
    made = method.translate(x, Translation(("grey",), ("dark",)))
    assert torch.equal(made, method.generator(x["grey"], label))


def test_an_attribute_is_reversed_where_it_is_known_and_else_set():
    method, x = stargan(domains=["hat", "smile"], exclusive=False), faces(4)["faces"]
    hat, smile = method.translations()
    assert (hat, smile) == (Translation(("image",), ("hat",)), Translation(("image",), ("smile",)))
    assert method.asked(x, smile)[1].tolist() == [[0, 1], [0, 0], [1, 1], [1, 0]]
    assert method.asked({"image": x["image"]}, hat)[1].tolist() == [[1, 0]] * 4


def test_networks_of_other_labels_are_refused():
    make, judge = StarGANGenerator(1, 3, 4), StarGANDiscriminator(1, 16, 4, 4, 2)
    with pytest.raises(InputError, match="discriminator was built for 4 labels, but there are 3"):
        StarGAN(make, judge, DOMAINS, [Stage("train", 1)])
