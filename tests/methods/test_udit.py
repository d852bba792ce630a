"""UDIT against its published losses, and MUNIT where they do not differ."""

import pytest
import tiny
import tiny_domains
import torch

from lit_synth.augment import BlurredViews
from lit_synth.contracts.translator import HasJudgement, HasStyles, ReadsStyles, Translator
from lit_synth.errors import InputError
from lit_synth.methods.udit import UDIT
from lit_synth.networks import (
    ContentEncoder,
    MultiScaleDiscriminator,
    StyleDecoder,
    StyleEncoder,
)
from lit_synth.releases.format import load_release, save_release
from lit_synth.stages import Stage
from lit_synth.tensors.hashing import image_digests

pytestmark = pytest.mark.usefixtures("workdir")

WEIGHTS = {"lambda_gan": 2.0, "lambda_x": 3.0, "lambda_c": 0.5, "lambda_s": 0.7}
GENERATORS = ("content_encoders", "style_encoders", "decoders")
SCALE = {"reduced": 0.5, "naive": 0.25}  # of the tiny extractor


def udit(extractor="sources/extractor", pool=False, **settings):
    torch.manual_seed(0)
    sizes = {"levels": 2, "n_blocks": 1, "pool": pool}
    networks = (
        ContentEncoder(1, 2, **sizes),
        StyleEncoder(1, widths=[2, 4], style_dim=3),
        StyleDecoder(1, 2, **sizes, style_dim=3, mlp_dim=8),
        MultiScaleDiscriminator(1, widths=[8, 8], scales=2),
    )
    return UDIT(*networks, extractor, [Stage("train", 1)], **settings)


def batch(n=4):
    images = {"a": tiny.images(n, seed=5), "b": tiny.images(n, seed=6).square()}
    return {name: {name: x.float()} for name, x in images.items()}


@pytest.mark.parametrize("pool", [False, True])
@pytest.mark.parametrize("feature", ["reduced", "naive"])
def test_losses_and_gradients_equal_the_published_formulas(feature, pool):
    method, x = udit(pool=pool, feature=feature, lambda_semantic=5.0, **WEIGHTS), batch()
    before, rng, record = tiny.iterate(method, x)
    s_a, s_b = (torch.randn(4, 3, generator=rng, dtype=torch.float64) for _ in range(2))
    a, b = x["a"]["a"].double(), x["b"]["b"].double()
    e_a, e_b = (before.content_encoders[i] for i in "ab")
    t_a, t_b = (before.style_encoders[i] for i in "ab")
    g_a, g_b = (before.decoders[i] for i in "ab")
    ab, ba = g_b(e_a(a), s_b), g_a(e_b(b), s_a)

    def h(image):
        maps = before.h.backbone(image)
        head = before.h.head.reduce
        reduced = torch.einsum("oc,nchw->nohw", head.weight[:, :, 0, 0], maps)
        return maps if feature == "naive" else reduced + head.bias[:, None, None]

    loss = 0
    for real, fake, judge in ((a, ba, "a"), (b, ab, "b")):
        for scale in range(2):
            score = before.discriminators[judge](real)[scale]
            loss = loss + 2 * (score - 1).square().mean()
            loss = loss + 2 * before.discriminators[judge](fake.detach())[scale].square().mean()
    torch.testing.assert_close(record.losses[0], loss.detach())

    # By now the discriminators have moved.
    scores = [*method.discriminators["b"](ab), *method.discriminators["a"](ba)]
    loss = 2 * sum((score - 1).square().mean() for score in scores)
    loss = loss + 3 * (g_a(e_a(a), t_a(a)) - a).abs().mean()
    loss = loss + 3 * (g_b(e_b(b), t_b(b)) - b).abs().mean()
    loss = loss + 0.5 * (e_b(ab).h - e_a(a).h).abs().mean()
    loss = loss + 0.5 * (e_a(ba).h - e_b(b).h).abs().mean()
    loss = loss + 0.7 * (t_b(ab) - s_b).abs().mean()
    loss = loss + 0.7 * (t_a(ba) - s_a).abs().mean()
    loss = loss + 5 * (h(ab) - h(a)).abs().mean() / SCALE[feature]
    loss = loss + 5 * (h(ba) - h(b)).abs().mean() / SCALE[feature]
    torch.testing.assert_close(record.losses[1], loss.detach())
    for name in GENERATORS:
        slow = tiny.gradients(loss, getattr(before, name))
        torch.testing.assert_close(record.of(1, name), list(slow))


def test_without_the_constraint_it_is_munit_bit_for_bit():
    ends = []
    for name, settings in (("munit", {}), ("udit", {"lambda_semantic": 0.0})):
        method, data = tiny.build(f"translation/{name}", **settings)
        tiny.fit(method, data)
        ends.append((tiny.state(method), method.draws.rng.get_state(), method.means.read()))
    (munit, munit_rng, munit_terms), (udit, udit_rng, udit_terms) = ends
    assert {key for key in udit if not key.startswith("h.")} == munit.keys()
    for key, value in munit.items():
        assert torch.equal(udit[key], value), key
    assert torch.equal(munit_rng, udit_rng)
    assert udit_terms == munit_terms | {"g_semantic": 0}


def test_the_constraint_draws_nothing():
    states = []
    for weight in (0.0, 10.0):
        method, data = tiny.build("translation/udit", lambda_semantic=weight)
        tiny.fit(method, data)
        states.append(method.draws.rng.get_state())
    assert torch.equal(*states)


def test_h_sees_an_image_and_its_translation_in_the_same_view():
    method = udit(views=BlurredViews(shift=2, blur=1.0, noise=0.5))
    x, x_fake = tiny.images(4).float(), tiny.images(4, seed=6).float()
    assert method.semantic(x, x) == 0
    plain, viewed = udit().semantic(x_fake, x), method.semantic(x_fake, x)
    assert not torch.isclose(plain, viewed)
    # Rows and columns that alternate by a sign are all that the blur takes.
    board = torch.ones(16, 16).cumsum(0).add(torch.ones(16, 16).cumsum(1)).remainder(2) - 0.5
    blind = udit(views=BlurredViews(shift=0, blur=1.0, noise=0.0))
    blind.rand = lambda n, *shape: torch.full((n, *shape), 0.999)
    assert blind.semantic(x + board, x) < 0.3 * udit().semantic(x + board, x)


def test_h_is_looked_through_but_neither_learns_nor_leaves_eval_mode():
    method = udit().train()
    assert not any(module.training for module in method.h.modules())
    start = tiny.state(method.h)
    x_fake, x = (tiny.images(2, seed=seed).float().requires_grad_() for seed in (1, 2))
    loss = method.semantic(x_fake, x)
    loss.backward()
    assert x_fake.grad.norm() > 0
    assert x.grad is None
    assert all(p.grad is None for p in method.h.parameters())
    assert all(torch.equal(value, start[name]) for name, value in method.h.state_dict().items())
    learning = {
        id(p) for opt in method.configure_optimizers() for p in opt.param_groups[0]["params"]
    }
    assert learning.isdisjoint(id(p) for p in method.h.parameters())


def test_h_is_in_a_release_with_its_facts_but_no_part_of_a_translation():
    method = udit()
    networks, facts = method.release()
    translators = [f"{name[:-1]}_{i}" for name in GENERATORS for i in "ab"]
    assert list(networks) == [*translators, "backbone", "head"]
    counts = [p.numel() for name in translators for p in networks[name].parameters()]
    of_h = load_release("sources/extractor").extra
    assert facts == {"parameters": sum(counts), **of_h}
    del method.h
    x = {"a": tiny.images(2).float()}
    assert method.translate(x, method.translations()[0]).shape == (2, 1, 16, 16)


def test_an_older_release_without_h_is_taken_with_that_of_the_settings():
    method, h = udit(), tiny.state(udit().h)
    networks, _ = method.release()
    tensors = {
        f"{name}.{key}": torch.zeros_like(value)
        for name, network in networks.items()
        for key, value in network.state_dict().items()
        if name not in ("backbone", "head")
    }
    method.restore(tensors, {})
    assert all(not p.any() for p in method.decoders.parameters())
    assert all(torch.equal(value, h[name]) for name, value in method.h.state_dict().items())


def test_keeps_the_contracts_of_diverse_translation_and_judges():
    method, x = udit(), tiny.images(2).float()
    for contract in (Translator, HasStyles, ReadsStyles, HasJudgement):
        assert isinstance(method, contract)
    assert method.judged_attribute == "level"
    expected = method.h.head.classify(method.h.feature(x, "reduced").flatten(1))
    assert torch.equal(method.judge(x), expected)


def test_an_extractor_that_knows_the_images_is_refused():
    release = load_release("sources/extractor")
    seen = image_digests(tiny_domains.domain("bright", 10).fetch(range(3))["bright"])
    extra = release.extra | {"trained_on": {"images": seen}}
    save_release("knowing", release.networks, "# Knowing\n", extra)
    method, data = tiny.build("translation/udit", extractor="knowing")
    with pytest.raises(InputError, match=r"of the domain 'bright' .* \(3 of 10 that"):
        tiny.fit(method, data)
    # The domain 'grey' is not translated.
    seen = image_digests(tiny_domains.domain("grey", 10).fetch(range(3))["grey"])
    save_release("other", release.networks, "# Other\n", extra | {"trained_on": {"images": seen}})
    tiny.fit(*tiny.build("translation/udit", extractor="other"))


def test_images_unlike_the_extractors_are_refused():
    method = udit()
    with pytest.raises(InputError, match="of 1 channels and got 3"):
        method.semantic(torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 16))
    with pytest.raises(InputError, match=r"32x32 px to \(8, 16, 16\), .* \(8, 8, 8\)"):
        method.semantic(torch.zeros(1, 1, 32, 32), torch.zeros(1, 1, 32, 32))


def test_a_release_of_something_else_is_refused():
    with pytest.raises(InputError, match="holds classifier, which is no semantic extractor"):
        udit("sources/classifier")
