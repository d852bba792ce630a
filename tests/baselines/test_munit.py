"""MUNIT against its published losses."""

import pytest
import tiny
import torch

from lit_synth.baselines.munit import MUNIT
from lit_synth.contracts.translator import HasStyles, ReadsStyles, Translation, Translator
from lit_synth.errors import InputError
from lit_synth.networks import (
    ContentEncoder,
    MultiScaleDiscriminator,
    StyleDecoder,
    StyleEncoder,
)
from lit_synth.stages import Stage

WEIGHTS = {"lambda_gan": 2.0, "lambda_x": 3.0, "lambda_c": 0.5, "lambda_s": 0.7}


def munit(pool=False, **settings):
    torch.manual_seed(0)
    sizes = {"levels": 2, "n_blocks": 1, "pool": pool}
    networks = (
        ContentEncoder(1, 2, **sizes),
        StyleEncoder(1, widths=[2, 4], style_dim=3),
        StyleDecoder(1, 2, **sizes, style_dim=3, mlp_dim=8),
        MultiScaleDiscriminator(1, widths=[8, 8], scales=2),
    )
    return MUNIT(*networks, [Stage("train", 1)], **settings)


def batch(n=4):
    images = {"a": tiny.images(n, seed=5), "b": tiny.images(n, seed=6).square()}
    return {name: {name: x.float()} for name, x in images.items()}


@pytest.mark.parametrize("pool", [False, True])
def test_losses_and_gradients_equal_the_published_formulas(pool):
    method, x = munit(pool, **WEIGHTS), batch()
    before, rng, record = tiny.iterate(method, x)
    s_a, s_b = (torch.randn(4, 3, generator=rng, dtype=torch.float64) for _ in range(2))
    a, b = x["a"]["a"].double(), x["b"]["b"].double()
    e_a, e_b = (before.content_encoders[i] for i in "ab")
    t_a, t_b = (before.style_encoders[i] for i in "ab")
    g_a, g_b = (before.decoders[i] for i in "ab")
    ab, ba = g_b(e_a(a), s_b), g_a(e_b(b), s_a)

    loss = 0
    for real, fake, judge in ((a, ba, "a"), (b, ab, "b")):
        for scale in range(2):
            score = before.discriminators[judge](real)[scale]
            loss = loss + 2 * (score - 1).square().mean()
            loss = loss + 2 * before.discriminators[judge](fake.detach())[scale].square().mean()
    torch.testing.assert_close(record.losses[0], loss.detach())
    torch.testing.assert_close(
        record.of(0, "discriminators"), list(tiny.gradients(loss, before.discriminators))
    )

    # By now the discriminators have moved.
    scores = [*method.discriminators["b"](ab), *method.discriminators["a"](ba)]
    loss = 2 * sum((score - 1).square().mean() for score in scores)
    loss = loss + 3 * (g_a(e_a(a), t_a(a)) - a).abs().mean()
    loss = loss + 3 * (g_b(e_b(b), t_b(b)) - b).abs().mean()
    loss = loss + 0.5 * (e_b(ab).h - e_a(a).h).abs().mean()
    loss = loss + 0.5 * (e_a(ba).h - e_b(b).h).abs().mean()
    loss = loss + 0.7 * (t_b(ab) - s_b).abs().mean()
    loss = loss + 0.7 * (t_a(ba) - s_a).abs().mean()
    # The encoders and decoders are those of before; the discriminators are not.
    torch.testing.assert_close(record.losses[1], loss.detach())
    for name in ("content_encoders", "style_encoders", "decoders"):
        slow = tiny.gradients(loss, getattr(before, name))
        torch.testing.assert_close(record.of(1, name), list(slow))


def test_each_domain_has_networks_of_its_own():
    method, (there, back) = (
        munit(a="day", b="night").eval(),
        munit(a="day", b="night").translations(),
    )
    assert (there, back) == (Translation(("day",), ("night",)), Translation(("night",), ("day",)))
    x, s = tiny.images(2).float(), torch.randn(2, 3)
    with torch.no_grad():
        for translation, i, j in ((there, "day", "night"), (back, "night", "day")):
            expected = method.decoders[j](method.content_encoders[i](x), s)
            assert torch.equal(method.translate({i: x, "style": s}, translation), expected)
        assert torch.equal(method.read_styles(x, "night"), method.style_encoders["night"](x))
    for networks in (method.content_encoders, method.style_encoders, method.decoders):
        day, night = (next(networks[i].parameters()) for i in ("day", "night"))
        assert not torch.equal(day, night)


def test_the_style_is_the_mean_where_none_is_given():
    method, x = munit().eval(), tiny.images(2).float()
    there = method.translations()[0]
    mean = method.translate({"a": x, "style": torch.zeros(2, 3)}, there)
    assert torch.equal(method.translate({"a": x}, there), mean)
    assert not torch.equal(method.translate({"a": x, "style": torch.ones(2, 3)}, there), mean)


def test_keeps_the_contracts_of_diverse_translation():
    for contract in (Translator, HasStyles, ReadsStyles):
        assert isinstance(munit(), contract)
    assert munit().style_dim == 3


def test_a_release_has_what_translates():
    networks, extra = munit().release()
    kinds = ("content_encoder", "style_encoder", "decoder")
    assert list(networks) == [f"{kind}_{i}" for kind in kinds for i in "ab"]
    counts = [p.numel() for network in networks.values() for p in network.parameters()]
    assert extra == {"parameters": sum(counts)}


def test_a_domain_is_no_other_domain():
    with pytest.raises(InputError, match="both domains are called 'red'"):
        munit(a="red", b="red")
