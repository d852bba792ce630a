"""M&MNets for unpaired domains: their losses, and translations that were never trained."""

import pytest
import tiny
import tiny_domains
import torch
from torch import nn

from lit_synth.contracts.translator import Translation
from lit_synth.errors import InputError
from lit_synth.methods.mmnets_unpaired import MMNetsUnpaired
from lit_synth.networks.patchgan import PatchDiscriminator
from lit_synth.networks.resnet_translator import ResNetDecoder, ResNetEncoder
from lit_synth.releases.format import load_release, save_release
from lit_synth.stages import Stage

A, OTHERS = "grey", ("dark", "bright")


def mmnets(domains=tiny_domains.DOMAINS, anchor=A, **settings):
    torch.manual_seed(0)
    networks = [ResNetEncoder(1, 4, 1), ResNetDecoder(1, 4, 1), PatchDiscriminator(1, [4, 8])]
    return MMNetsUnpaired(list(domains), anchor, *networks, [Stage("train", 1)], **settings)


def slow_generator_loss(f, g, judges, x):
    """CycleGANs between the anchor and each other domain, and the domains' autoencoders."""
    loss = 0
    for k in OTHERS:
        x_k, x_a = g[k](f[A](x[A])), g[A](f[k](x[k]))
        for name, fake in ((k, x_k), (A, x_a)):
            loss = loss + (judges[name](fake) - 0.9).square().mean()
        loss = loss + 3 * (g[A](f[k](x_k)) - x[A]).abs().mean()
        loss = loss + 3 * (g[k](f[A](x_a)) - x[k]).abs().mean()
    for k in (A, *OTHERS):
        loss = loss + 5 * (g[k](f[k](x[k])) - x[k]).abs().mean()
    return loss


def test_losses_and_gradients_equal_the_released_formulas():
    method, batch = mmnets(lambda_cycle=3.0, lambda_autoencoder=5.0), tiny_domains.batch()
    before, _, record = tiny.iterate(method, batch)
    x = {name: batch[name][name].double() for name in tiny_domains.DOMAINS}
    f, g, judges = before.encoders, before.decoders, before.discriminators

    loss = slow_generator_loss(f, g, judges, x)
    torch.testing.assert_close(record.losses[0], loss.detach())
    for name in ("encoders", "decoders"):
        slow = tiny.gradients(loss, getattr(before, name))
        torch.testing.assert_close(record.of(0, name), list(slow))

    # In the first iteration nothing is of the past, and the anchor's fakes are of the first other.
    loss, fakes = 0, {k: g[k](f[A](x[A])) for k in OTHERS} | {A: g[A](f["dark"](x["dark"]))}
    for k, fake in fakes.items():
        d_fake = judges[k](fake.detach()).square().mean()
        loss = loss + ((judges[k](x[k]) - 0.9).square().mean() + d_fake) / 2
    torch.testing.assert_close(record.losses[1], loss.detach())
    slow = tiny.gradients(loss, judges)
    torch.testing.assert_close(record.of(1, "discriminators"), list(slow))


def test_the_anchors_discriminator_sees_the_other_domains_in_turn():
    method = mmnets(pool_size=16)
    for k, shade in zip(OTHERS, (-1.0, 1.0), strict=True):
        method.encoders[k] = Constant(shade)
    method.decoders[A] = method.decoders["bright"] = method.decoders["dark"] = Repeat()
    method.stages = [Stage("train", 4)]
    tiny.fit(method, [tiny_domains.batch()] * 4)
    shades = method.pools[A].images.mean(dim=(1, 2, 3)).sign().view(4, 4)
    assert shades.tolist() == [[-1.0] * 4, [1.0] * 4] * 2


def test_unseen_translations_join_an_encoder_and_a_decoder_of_seen_ones():
    method, x = mmnets().eval(), tiny_domains.batch()["dark"]
    unseen = Translation(("dark",), ("bright",))
    assert len(method.translations()) == 6
    assert unseen in method.translations()
    with torch.no_grad():
        joined = method.decoders["bright"](method.encoders["dark"](x["dark"]))
    assert torch.equal(method.translate(x, unseen), joined)


def test_the_decoder_uses_where_the_encoder_found_maxima():
    method, x = mmnets().eval(), tiny_domains.batch()["dark"]["dark"]
    code = method.encoders["dark"](x)
    moved = code._replace(indices=[each.roll(1, dims=0) for each in code.indices])
    with torch.no_grad():
        assert not torch.allclose(method.decoders[A](code), method.decoders[A](moved))


def test_every_domain_has_weights_of_its_own():
    method = mmnets()
    first = [next(method.encoders[k].parameters()) for k in method.domains]
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[1], first[2])


def test_parameters_grow_with_the_number_of_domains(tmp_path):
    counts = []
    for domains in (("dark", "grey"), tiny_domains.DOMAINS):
        networks, extra = mmnets(domains).release()
        release = load_release(save_release(tmp_path / "release", networks, "# Tiny\n", extra))
        found = sum(p.numel() for net in release.networks.values() for p in net.parameters())
        assert release.extra == {"parameters": found}
        counts.append(found)
    assert counts[1] / 3 == counts[0] / 2


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"anchor": "blue"}, "the anchor is 'blue' and the domains are dark, grey, bright"),
        ({"domains": ["grey", "grey"]}, "two or more different domains"),
        ({"domains": ["grey"]}, "two or more different domains"),
    ],
)
def test_domains_without_their_anchor_are_refused(settings, said):
    with pytest.raises(InputError, match=said):
        mmnets(**settings)


def test_a_network_that_cannot_be_built_again_is_refused():
    with pytest.raises(InputError, match="Repeat does not know how it was built"):
        MMNetsUnpaired(["a", "b"], "a", *[Repeat() for _ in range(3)], [Stage("train", 1)])


class Constant(nn.Module):
    """An encoder of everything to one shade."""

    def __init__(self, shade):
        super().__init__()
        self.shade = nn.Parameter(torch.tensor(shade))

    def forward(self, x):
        return self.shade + 0 * x


class Repeat(nn.Module):
    """A decoder of images that are their own code."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, code):
        return self.gain * (code if isinstance(code, torch.Tensor) else code.skips[0][:, :1])
