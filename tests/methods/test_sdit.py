"""SDIT against its published losses."""

import pytest
import tiny
import tiny_domains
import torch
import torch.nn.functional as F

from lit_synth.batches.labels import labelled
from lit_synth.contracts.translator import HasAttention, HasStyles, Translation
from lit_synth.errors import InputError
from lit_synth.methods import SDIT
from lit_synth.networks import SDITDiscriminator, SDITGenerator
from lit_synth.stages import Stage

DOMAINS, STYLE = list(tiny_domains.DOMAINS), 4
WEIGHTS = {"lambda_adv": 3.0, "lambda_gp": 7.0, "lambda_cls": 2.0, "lambda_rec": 5.0}


def sdit(stages=None, n_labels=3, attention="text", code_from="trunk", **settings):
    torch.manual_seed(0)
    make = SDITGenerator(1, n_labels, 4, 1, 1, 1, 1, STYLE, attention)
    judge = SDITDiscriminator(1, 16, n_labels, STYLE, 4, 2, code_from)
    settings = WEIGHTS | {"lambda_lat": 11.0, "n_critic": 1, "domains": DOMAINS} | settings
    return SDIT(make, judge, stages=stages or [Stage("train", 1)], **settings)


def faces(n=6):
    """Return a batch with two attributes, of which an image may have none, one or both."""
    attributes = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1], [1, 1], [0, 1]])[:n]
    return {"faces": {"image": tiny.images(n).float(), "attributes": attributes}}


def slow_steps(
    record, before, after, rng, x, c, classify, fresh=False, identity=0.0, slope_of="mean"
):
    """Compare both recorded steps with the formulas; `after` has the discriminator's step."""
    make, judge, n = before.generator, before.discriminator, len(x)
    c_trg = c[torch.randperm(n, generator=rng)]
    z = torch.randn(n, STYLE, generator=rng, dtype=torch.float64)
    alpha = torch.rand(n, 1, 1, 1, generator=rng, dtype=torch.float64)
    y = make(x, c_trg, z).detach()
    real, fake = judge(x), judge(y, x)
    loss = 3 * (fake.realness.mean() - real.realness.mean())
    places = {"sum": 1, "mean": 4 * 4}[slope_of]  # of a map the gradients of all scores add up
    loss = loss + 7 * tiny.slow_gradient_penalty(
        lambda mix: judge(mix).realness / places, x, y, alpha
    )
    loss = loss + 2 * classify(real.logits, c) + 11 * (fake.code - z).abs().mean()
    torch.testing.assert_close(record.losses[0], loss.detach())
    torch.testing.assert_close(record.of(0, "discriminator"), list(tiny.gradients(loss, judge)))

    judge = after.discriminator
    y = make(x, c_trg, z)
    fake = judge(y, x)
    z_back = torch.randn(n, STYLE, generator=rng, dtype=torch.float64) if fresh else z
    loss = -3 * fake.realness.mean() + 2 * classify(fake.logits, c_trg)
    loss = loss + 11 * (fake.code - z).abs().mean() + 5 * (make(y, c, z_back) - x).abs().mean()
    loss = loss + identity * (make(x, c, z) - x).abs().mean()
    torch.testing.assert_close(record.losses[1], loss.detach())
    torch.testing.assert_close(record.of(1, "generator"), list(tiny.gradients(loss, make)))


@pytest.mark.parametrize(
    ("fresh", "identity", "slope_of", "code_from"),
    [
        (False, 0.0, "sum", "trunk"),
        (True, 0.0, "sum", "trunk"),
        (False, 13.0, "mean", "change"),
    ],
)
def test_losses_and_gradients_equal_the_formulas(fresh, identity, slope_of, code_from):
    terms = {"fresh_style": fresh, "lambda_identity": identity, "slope_of": slope_of}
    method = sdit(code_from=code_from, **terms)
    batch = tiny_domains.batch(2)
    before, rng, record = tiny.iterate(method, batch)
    x, c = (each.double() for each in labelled(batch, DOMAINS))

    def cross_entropy(logits, c):
        return -(logits.log_softmax(dim=1) * c).sum() / len(c)

    slow_steps(record, before, method, rng, x, c, cross_entropy, fresh, identity, slope_of)
    assert record.moved == [{"discriminator"}, {"generator"}]


def test_attributes_are_read_one_by_one():
    method = sdit(n_labels=2, domains=["hat", "smile"], exclusive=False)
    batch = faces()
    before, rng, record = tiny.iterate(method, batch)
    x, c = batch["faces"]["image"].double(), batch["faces"]["attributes"].double()

    def binary(logits, c):
        p = logits.sigmoid()
        return -(c * p.log() + (1 - c) * (1 - p).log()).sum() / len(c)

    slow_steps(record, before, method, rng, x, c, binary)


def test_the_guess_of_z_learns_from_fakes_in_the_discriminators_step():
    gradients = {}
    for train in (True, False):
        method = sdit(train_code_head=train)
        start = tiny.state(method)
        _, _, record = tiny.iterate(method, tiny_domains.batch(2))
        names = [name for name, _ in method.named_parameters() if ".code." in name]
        gradients[train] = [record.gradients[0][name] for name in names]
        moved = [not torch.equal(method.state_dict()[n].float(), start[n]) for n in names]
        assert all(moved) if train else not any(moved)
    assert all(each.any() for each in gradients[True])
    assert not any(each.any() for each in gradients[False])


def test_a_warm_up_reconstructs_and_moves_the_generator_alone():
    method = sdit([Stage("warm-up", 1, weights={"identity": 4.0})])
    batch = tiny_domains.batch(2)
    before, rng, record = tiny.iterate(method, batch)
    x, c = (each.double() for each in labelled(batch, DOMAINS))
    z = torch.randn(len(x), STYLE, generator=rng, dtype=torch.float64)
    torch.testing.assert_close(
        record.losses, [4 * (before.generator(x, c, z) - x).abs().mean().detach()]
    )
    assert record.moved == [{"generator"}]
    with pytest.raises(InputError, match="weighs 'latent', but the terms are: identity"):
        sdit([Stage("train", 1, weights={"latent": 1})])


def test_translates_to_the_targets_label_in_the_style_given():
    method, x = sdit().eval(), {"dark": tiny.images(3).float()}
    assert isinstance(method, HasStyles)
    assert len(method.translations()) == 6
    way, label = Translation(("dark",), ("bright",)), torch.tensor([[0.0, 0, 1]]).repeat(3, 1)
    z = torch.randn(3, STYLE)
    made = method.generator(x["dark"], label, z)
    assert torch.equal(method.translate(x | {"style": z}, way), made)
    mean = method.generator(x["dark"], label, torch.zeros(3, STYLE))
    assert torch.equal(method.translate(x, way), mean)


def test_an_attribute_is_reversed_where_it_is_known_and_else_set():
    method = sdit(n_labels=2, domains=["hat", "smile"], exclusive=False).eval()
    hat, smile = method.translations()
    assert (hat, smile) == (Translation(("image",), ("hat",)), Translation(("image",), ("smile",)))
    x = faces(4)["faces"]
    _, c = method.asked(x, smile)
    assert c.tolist() == [[0, 1], [0, 0], [1, 1], [1, 0]]
    _, c = method.asked({"image": x["image"]}, hat)
    assert c.tolist() == [[1, 0]] * 4
    method = sdit().eval()
    _, c = method.asked(
        {"dark": x["image"], "attributes": x["attributes"]}, Translation(("dark",), ("grey",))
    )
    assert c.tolist() == [[0, 1, 0]] * 4


def test_attention_is_the_generators_and_one_where_it_has_none():
    x, way = {"dark": tiny.images(3).float()}, Translation(("dark",), ("grey",))
    method = sdit().eval()
    assert isinstance(method, HasAttention)
    a = method.attention(x, way)
    assert a.shape == (3, 1, 16, 16)
    assert 0 < a.min() < a.max() < 1
    e = method.generator.encoder(*method.asked(x, way))
    torch.testing.assert_close(a, F.interpolate(method.generator.attention(e), 16, mode="bilinear"))
    none = sdit(attention="none").eval().attention(x, way)
    assert torch.equal(none, torch.ones(3, 1, 16, 16))


def test_networks_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="generator was built for 3 labels, but there are 2 dom"):
        sdit(domains=["dark", "grey"])
    make, judge = SDITGenerator(n_labels=2, style_dim=4), SDITDiscriminator(1, 16, 2, 8, 4, 2)
    with pytest.raises(InputError, match="style_dim is 4 in the generator and 8 in the disc"):
        SDIT(make, judge, ["hat", "smile"], [Stage("train", 1)])
