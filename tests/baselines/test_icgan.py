"""IcGAN against its published losses."""

import pytest
import tiny
import tiny_domains
import torch

from lit_synth.baselines import IcGAN
from lit_synth.batches.labels import labelled
from lit_synth.contracts.translator import Translation
from lit_synth.errors import InputError
from lit_synth.networks import IcGANDiscriminator, IcGANEncoder, IcGANGenerator
from lit_synth.stages import Stage

DOMAINS, ATTRIBUTES, Z = list(tiny_domains.DOMAINS), ["hat", "smile"], 4


def stage(term, weight=1.0, iterations=1):
    return Stage(term, iterations, weights={term: weight}, freeze=["generator"] * (term != "gan"))


def icgan(*stages, domains=DOMAINS, **settings):
    torch.manual_seed(0)
    return IcGAN(
        IcGANGenerator(16, 1, len(domains), Z, width=4),
        IcGANDiscriminator(16, 1, len(domains), width=4),
        IcGANEncoder(16, 1, Z, width=4, hidden=8),
        IcGANEncoder(16, 1, len(domains), width=4, hidden=8),
        domains,
        list(stages) or [stage("gan")],
        **settings,
    )


def faces(n=8):
    """Return a batch with two attributes, of which an image may have none, one or both."""
    attributes = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]]).repeat(2, 1)[:n]
    return {"faces": {"image": tiny.images(n).float(), "attributes": attributes}}


def slow_wrong(c, exclusive, rng):
    """Return labels that are wrong for each image, one image after the other."""
    n, k = c.shape
    wrong = torch.zeros_like(c)
    if exclusive:
        for i, shift in enumerate(torch.randint(k - 1, (n,), generator=rng)):
            wrong[i, (int(c[i].nonzero()) + 1 + shift) % k] = 1
        return wrong
    order, reverse = torch.randperm(n, generator=rng), torch.randint(k, (n,), generator=rng)
    for i in range(n):
        wrong[i] = c[order[i]]
        if torch.equal(wrong[i], c[i]):
            wrong[i, reverse[i]] = 1 - c[i, reverse[i]]
    return wrong


@pytest.mark.parametrize("exclusive", [True, False])
def test_the_game_equals_the_published_formulas(exclusive):
    names, batch = (DOMAINS, tiny_domains.batch(2)) if exclusive else (ATTRIBUTES, faces())
    method = icgan(stage("gan", 3.0), domains=names, exclusive=exclusive)
    before, rng, record = tiny.iterate(method, batch)
    x, c = (each.double() for each in labelled(batch, names))
    n = len(x)
    y, y_wrong = 2 * c - 1, 2 * slow_wrong(c, exclusive, rng) - 1
    assert (y != y_wrong).any(dim=1).all()
    y_made = y[torch.randperm(n, generator=rng)]
    z = torch.randn(n, Z, generator=rng, dtype=torch.float64)

    x_made, judge = before.generator(z, y_made), before.discriminator
    terms = [-judge(x, y).sigmoid().log(), -0.5 * (1 - judge(x, y_wrong).sigmoid()).log()]
    terms.append(-0.5 * (1 - judge(x_made.detach(), y_made).sigmoid()).log())
    loss = 3 * sum(terms).mean()
    torch.testing.assert_close(record.losses[0], loss.detach())
    torch.testing.assert_close(record.of(0, "discriminator"), list(tiny.gradients(loss, judge)))

    loss = -3 * method.discriminator(x_made, y_made).sigmoid().log().mean()
    torch.testing.assert_close(record.losses[1], loss.detach())
    slow = tiny.gradients(loss, before.generator)
    torch.testing.assert_close(record.of(1, "generator"), list(slow))


def test_the_encoder_of_z_inverts_images_of_a_frozen_generator():
    method, batch = icgan(stage("encoder_z", 3.0)), tiny_domains.batch(2)
    before, rng, record = tiny.iterate(method, batch)
    y = 2 * labelled(batch, DOMAINS)[1].double() - 1
    z = torch.randn(len(y), Z, generator=rng, dtype=torch.float64)
    x = before.generator.eval()(z, y)
    loss = 3 * (before.encoder_z(x) - z).square().mean()
    torch.testing.assert_close(record.losses, [loss.detach()])
    slow = tiny.gradients(loss, before.encoder_z)
    torch.testing.assert_close(record.of(0, "encoder_z"), list(slow))
    moved = tiny.changed_networks(before.state_dict(), method.state_dict())
    assert moved == {"encoder_z"}, "not even the generator's running statistics"


def test_the_encoder_of_labels_reads_real_images():
    method, batch = icgan(stage("encoder_y", 3.0)), tiny_domains.batch(2)
    before, _, record = tiny.iterate(method, batch)
    x, c = (each.double() for each in labelled(batch, DOMAINS))
    loss = 3 * (before.encoder_y(x) - (2 * c - 1)).square().mean()
    torch.testing.assert_close(record.losses, [loss.detach()])
    slow = tiny.gradients(loss, before.encoder_y)
    torch.testing.assert_close(record.of(0, "encoder_y"), list(slow))


def test_stages_hand_over_from_one_network_to_the_next():
    method = icgan(stage("gan"), stage("encoder_z"), stage("encoder_y"))
    record = tiny.Minimized(method)
    tiny.fit(method, 3 * [tiny_domains.batch(2)])
    assert record.moved == [{"discriminator"}, {"generator"}, {"encoder_z"}, {"encoder_y"}]


def test_an_edit_keeps_z_and_replaces_the_label():
    method, x = icgan().eval(), {"grey": tiny.images(3).float()}
    assert len(method.translations()) == 6
    y = torch.tensor([[1.0, -1, -1]]).repeat(3, 1)
    with torch.no_grad():
        made = method.generator(method.encoder_z(x["grey"]), y)
    assert torch.equal(method.translate(x, Translation(("grey",), ("dark",))), made)


def test_attributes_that_are_not_known_are_read():
    method, x = icgan(domains=ATTRIBUTES, exclusive=False).eval(), faces(4)["faces"]
    hat, smile = method.translations()
    assert (hat, smile) == (Translation(("image",), ("hat",)), Translation(("image",), ("smile",)))
    assert method.asked(x, smile)[1].tolist() == [[0, 1], [0, 0], [1, 1], [1, 0]]
    method.encoder_y.forward = lambda _: torch.tensor([[3.0, -1], [-2, 5], [1, 1], [-1, -1]])
    del x["attributes"]
    assert method.asked(x, hat)[1].tolist() == [[1, 0], [1, 1], [1, 1], [1, 0]]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stages": [Stage("warm-up", 5)]}, "stage 'warm-up' trains nothing"),
        ({"stages": [Stage("z", 5, weights={"encoder_z": 1.0})]}, r"freeze: \[generator\]"),
        ({"domains": ["dark"]}, "exclusive ones are two or more"),
        ({"domains": ["dark", "bright"]}, "generator was built for 3 labels"),
        ({"encoder_z": IcGANEncoder(16, 1, 5, 4, 8)}, "encoder_z has out_dim 5, but .* is 4"),
        ({"encoder_y": IcGANEncoder(16, 1, 5, 4, 8)}, "encoder_y has out_dim 5, but .* is 3"),
    ],
)
def test_unfit_settings_are_refused(settings, message):
    method = icgan()
    fit = dict(method.named_children()) | {"domains": DOMAINS, "stages": method.stages}
    with pytest.raises(InputError, match=message):
        IcGAN(**(fit | settings))
