"""Mix-and-Match Networks: their losses, their stages, and what their translations are made of."""

import copy
from pathlib import Path

import pytest
import tiny
import tiny_scenes
import torch
import torch.nn.functional as F
import yaml

from lit_synth.batches.coding import Coding
from lit_synth.cli import main
from lit_synth.contracts.translator import Translation
from lit_synth.errors import InputError
from lit_synth.losses.reconstruction import berhu
from lit_synth.methods.mmnets import MMNets, Modality
from lit_synth.networks.patchgan import PatchDiscriminator
from lit_synth.networks.segnet import ImageDecoder, SegNetDecoder, SegNetEncoder
from lit_synth.releases.format import save_release
from lit_synth.stages import Stage

BLOCKS = [[4], [6, 6], [8]]
FIRST = {"rgb": 2.0, "depth": 3.0, "segmentation": 5.0, "adversarial": 0.7}
ALIGNED = {**FIRST, "autoencoder": 0.5, "latent": 11.0, "noise": 0.5}
PSEUDO = {**ALIGNED, "pseudo_pairs": 13.0}
ALL = [
    Stage("translations", 2, weights=FIRST),
    Stage("alignment", 2, ["encoders.rgb"], weights=ALIGNED),
    Stage("pseudo", 2, ["encoders.rgb"], weights=PSEUDO),
]
DEPTH_TO_LABELS = Translation(("depth",), ("segmentation",))

pytestmark = pytest.mark.usefixtures("workdir")


def mmnets(stages=ALL, side="indices", discriminator=True, **settings):
    torch.manual_seed(0)
    widths = [width for block in reversed(BLOCKS) for width in block[-1:]]
    image = ImageDecoder(3, widths)
    judge = PatchDiscriminator(3, widths=[4, 8]) if discriminator else None
    modalities = {"rgb": Modality(Coding("image", 3), SegNetEncoder(3, BLOCKS), image, judge)}
    for name, coding in (
        ("depth", Coding("depth", 1)),
        ("segmentation", Coding("labels", tiny_scenes.CLASSES)),
    ):
        modalities[name] = Modality(
            coding,
            SegNetEncoder(coding.channels, BLOCKS),
            SegNetDecoder(coding.channels, BLOCKS, side=side),
        )
    return MMNets(modalities, "rgb", copy.deepcopy(stages), **settings)


def scene(n=4):
    """Return n complete scenes."""
    return tiny_scenes.scenes(n, ["rgb", "depth", "segmentation"]).fetch(range(n))


def wide(batch):
    return {
        s: {m: each.double() if each.is_floating_point() else each for m, each in x.items()}
        for s, x in batch.items()
    }


def slow_loss(before, batch, noise, weights):
    """The loss of encoders and decoders, term by term (section 4.4.3)."""
    rs, rd = batch["rs"], batch["rd"]
    f, g = before.encoders, before.decoders
    rgb = f["rgb"](torch.cat([rs["rgb"], rd["rgb"]]))
    labels = f["segmentation"](
        F.one_hot(rs["segmentation"] % 255, 5).movedim(3, 1).double()
        * (rs["segmentation"] != 255)[:, None]
    )
    depth = f["depth"](torch.where(rd["depth"] > 0, rd["depth"] / 3, 1).log())
    n = len(rs["rgb"])

    def part(code, rows):
        return code._replace(
            h=code.h[rows],
            indices=[i[rows] for i in code.indices],
            skips=[s[rows] for s in code.skips],
        )

    codes = {
        ("rs", "rgb"): part(rgb, slice(0, n)),
        ("rs", "segmentation"): labels,
        ("rd", "rgb"): part(rgb, slice(n, None)),
        ("rd", "depth"): depth,
    }
    heard = {k: c._replace(h=c.h + 0.5 * noise[k]) for k, c in codes.items()}
    order = [("rs", "rgb"), ("rs", "segmentation"), ("rd", "rgb"), ("rd", "depth")]

    def decoded(name, keys):
        joined = [heard[k] for k in keys]
        whole = type(rgb)(
            torch.cat([c.h for c in joined]),
            [torch.cat(level) for level in zip(*(c.indices for c in joined), strict=True)],
            [torch.cat(level) for level in zip(*(c.skips for c in joined), strict=True)],
        )
        return dict(zip(keys, g[name](whole).split(n), strict=True))

    x = decoded("rgb", order)
    y = decoded("segmentation", order[:2])
    z = decoded("depth", order[2:])
    real = torch.cat([rs["rgb"], rd["rgb"]])

    def l2(a, b):
        return (a - b).square().mean()

    def ce(logits):
        log_p = logits.log_softmax(1)
        picked = log_p.gather(1, (rs["segmentation"] % 255)[:, None])[:, 0]
        return -picked[rs["segmentation"] != 255].mean()

    def bh(made):
        true = torch.where(rd["depth"] > 0, rd["depth"] / 3, 1).log()
        return berhu(made, true, rd["depth"] > 0)

    half = weights["autoencoder"]
    fake = torch.cat([x[k] for k in order])
    terms = {
        "rgb": l2(x["rs", "segmentation"], rs["rgb"])
        + l2(x["rd", "depth"], rd["rgb"])
        + half * l2(torch.cat([x["rs", "rgb"], x["rd", "rgb"]]), real),
        "segmentation": ce(y["rs", "rgb"]) + half * ce(y["rs", "segmentation"]),
        "depth": bh(z["rd", "rgb"]) + half * bh(z["rd", "depth"]),
        "latent": l2(labels.h, codes["rs", "rgb"].h) + l2(depth.h, codes["rd", "rgb"].h),
    }
    return sum(weights[k] * v for k, v in terms.items()), fake, real


def test_the_loss_of_the_second_stage_is_the_published_one():
    method = mmnets([Stage("alignment", 1, ["encoders.rgb"], weights=ALIGNED)])
    batch = wide(tiny_scenes.batch())
    before, rng, record = tiny.iterate(method, batch)
    before.encoders["rgb"].eval()
    keys = [("rs", "rgb"), ("rd", "rgb"), ("rd", "depth"), ("rs", "segmentation")]
    noise = {
        key: torch.randn(4, 8, 2, 2, generator=rng, dtype=torch.float64)
        for key in sorted(keys, key=lambda k: (list(method.codings).index(k[1]), k[0] == "rd"))
    }
    loss, fake, real = slow_loss(before, batch, noise, ALIGNED)
    judge = before.discriminators["rgb"]
    scores = judge(torch.cat([real, fake.detach()]))
    d_loss = (scores[:8] - 1).square().mean() + scores[8:].square().mean()
    torch.testing.assert_close(record.losses[0], d_loss.detach())
    # The discriminator has stepped since: its term is taken from the method's own record.
    g_adv = method.means.read()["g_adv"]
    expected = loss + ALIGNED["adversarial"] * g_adv
    torch.testing.assert_close(record.losses[1], expected.detach(), rtol=1e-5, atol=1e-6)


def test_the_anchors_encoder_stays_as_it_is_after_the_first_stage():
    method = mmnets()
    data = [tiny_scenes.batch() for _ in range(6)]
    first = mmnets(ALL[:1])
    tiny.fit(first, data[:2])
    tiny.fit(method, data)
    for name, value in first.encoders["rgb"].state_dict().items():
        assert torch.equal(method.encoders["rgb"].state_dict()[name], value), name
    moved = [
        not torch.equal(value, first.decoders["rgb"].state_dict()[name])
        for name, value in method.decoders["rgb"].state_dict().items()
    ]
    assert all(moved)


def test_pseudo_labels_get_no_gradient_and_their_students_do():
    method = mmnets()
    x = {
        (s, m): each
        for s, b in tiny_scenes.batch().items()
        for m, each in b.items()
        if m in method.codings
    }
    codes = {
        key: code._replace(h=code.h.detach().requires_grad_())
        for key, code in method.encode(x).items()
    }
    leaves = {key: code.h for key, code in codes.items()}
    method.pseudo_pairs(codes).backward()
    for (_, modality), h in leaves.items():
        assert (h.grad is None) == (modality == "rgb")
        assert modality == "rgb" or h.grad.abs().max() > 0


@pytest.mark.parametrize("soft", [False, True])
def test_pseudo_pairs_follow_equation_4_13(soft):
    method, batch = mmnets(soft_labels=soft), tiny_scenes.batch()
    x = {(s, m): each for s, b in batch.items() for m, each in b.items() if m in method.codings}
    codes = method.encode(x)
    g = copy.deepcopy(method.decoders).eval()
    logits, depth = g["segmentation"](codes["rd", "rgb"]), g["depth"](codes["rs", "rgb"])
    g.train()
    target = logits.softmax(1) if soft else logits.argmax(1)
    labelled = F.cross_entropy(g["segmentation"](codes["rd", "depth"]), target)
    measured = berhu(g["depth"](codes["rs", "segmentation"]), depth)
    found = method.pseudo_pairs(codes)
    torch.testing.assert_close(found, labelled + measured)


def test_latents_that_agree_cost_nothing():
    method = mmnets(align_levels=3)
    code = method.encoders["rgb"](torch.randn(2, 3, 16, 16))
    same = {("rd", "rgb"): code, ("rd", "depth"): code}
    assert method.latent_distance(same) == 0
    other = method.encoders["rgb"](torch.randn(2, 3, 16, 16))
    assert method.latent_distance({("rd", "rgb"): code, ("rd", "depth"): other}) > 0


def test_align_levels_counts_pools_from_the_deepest():
    code = mmnets().encoders["rgb"](torch.randn(2, 3, 16, 16))
    sizes = {n: [each.shape[-1] for each in mmnets(align_levels=n).pooled(code)] for n in (1, 2, 3)}
    assert sizes == {1: [2], 2: [4, 2], 3: [8, 4, 2]}


@pytest.mark.parametrize("side", ["indices", "skip"])
def test_side_information_of_another_scene_changes_the_translation(side):
    method = mmnets(side=side).eval()
    x = scene()
    own, other = method.translate(x, DEPTH_TO_LABELS), method.swap(x, DEPTH_TO_LABELS)
    assert (own != other).float().mean() > 0.02
    to_image = Translation(("depth",), ("rgb",))
    assert torch.equal(method.translate(x, to_image), method.swap(x, to_image))


def test_without_side_information_there_is_nothing_to_swap():
    method = mmnets(side="none").eval()
    x = scene()
    assert torch.equal(method.translate(x, DEPTH_TO_LABELS), method.swap(x, DEPTH_TO_LABELS))


def test_a_cascade_goes_through_data():
    method, x = mmnets().eval(), scene()
    image = method.translate(x, Translation(("depth",), ("rgb",)))
    expected = method.translate({"rgb": image}, Translation(("rgb",), ("segmentation",)))
    made = method.translate(x, Translation.parse("depth_to_rgb_to_segmentation"))
    assert torch.equal(made, expected)


def test_fusion_weighs_latents_and_takes_the_anchors_indices():
    x = scene()
    both = Translation(("depth", "rgb"), ("segmentation",))
    alone = Translation(("rgb",), ("segmentation",))
    only_rgb = mmnets(fusion={"rgb": 1.0, "depth": 0.0, "segmentation": 0.0}).eval()
    assert torch.equal(only_rgb.translate(x, both), only_rgb.translate(x, alone))
    mixed = mmnets().eval()
    codes = {
        name: mixed.encoders[name](mixed.codings[name].encode(x[name])) for name in both.sources
    }
    fused = mixed.fuse(codes)
    torch.testing.assert_close(fused.h, (0.8 * codes["rgb"].h + 0.1 * codes["depth"].h) / 0.9)
    assert fused.indices is codes["rgb"].indices


def test_starts_from_a_release():
    source = mmnets(ALL[:1])
    tiny.fit(source, [tiny_scenes.batch()] * 2)
    networks, extra = source.release()
    save_release("first", networks, "# first\n", extra)
    method = mmnets(start="first")
    for name, value in source.encoders.state_dict().items():
        assert torch.equal(method.encoders.state_dict()[name], value)


def test_a_stage_that_weighs_an_unknown_term_is_refused():
    with pytest.raises(InputError, match="stage 'one' weighs 'segmantation', but the terms are"):
        mmnets([Stage("one", 1, weights={"segmantation": 1})])


def fit(capsys, **changes):
    """Run the tiny configuration with changes at dotted keys; return the last line of stderr."""
    config = yaml.safe_load((tiny.CONF / "translation" / "mmnets.yaml").read_text())
    for key, value in changes.items():
        *parents, last = key.split("__")
        inner = config
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = value
    Path("changed.yaml").write_text(yaml.safe_dump(config))
    assert main(["fit", "--config", "changed.yaml"]) == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_a_modality_in_no_training_set_is_refused(capsys):
    said = fit(capsys, data__init_args={"sets": {"rs": ["rgb", "segmentation"]}})
    assert "the modality 'depth' is in no training set" in said


def test_a_set_without_the_anchor_is_refused(capsys):
    said = fit(capsys, data__init_args={"sets": {"ds": ["depth", "segmentation"], "r": ["rgb"]}})
    assert "'ds' (depth, segmentation) lacks the anchor 'rgb'" in said


def test_overlapping_scenes_are_refused_by_name(capsys):
    said = fit(capsys, data__init_args={"overlap": 2})
    assert "set rs and set rd share 2 scenes: scene-8, scene-9" in said
