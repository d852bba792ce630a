"""SISUG against its losses, written out; what never moves, what is refused, what labels teach."""

import copy
import socket

import pytest
import tiny
import torch
import torch.nn.functional as F
from forkserver import server
from translator_ranks import gradients, run_rank

from lit_synth.contracts.translator import Translation
from lit_synth.errors import InputError
from lit_synth.methods.sisug_mapper import SISUGMapper
from lit_synth.methods.sisug_rearranger import SISUGRearranger
from lit_synth.networks.oasis import OASISGenerator
from lit_synth.networks.rearranger import Rearranger
from lit_synth.releases.format import save_release
from lit_synth.stages import Stage

pytestmark = pytest.mark.usefixtures("workdir")

PARTS = Translation.parse("segmentation_to_rgb")


def rearranger(**settings):
    return tiny.build("sisug_rearranger", **settings)


def mapper(**settings):
    return tiny.build("translation/sisug_mapper", **settings)


def slow_cross_entropy(scores, mask):
    """Return the mean over pixels of minus the score of each one's label."""
    places = torch.cartesian_prod(*(torch.arange(side) for side in mask.shape))
    return -sum(scores[n, mask[n, y, x], y, x] for n, y, x in places) / len(places)


def test_source_and_centroids_never_move_after_they_are_found():
    method, data = rearranger()
    source, fixed, draw = tiny.state(method.generator), [], method.drawn

    def drawn(n):
        fixed.append((method.proxy.centroids.clone(), method.rearranger.deviation.clone()))
        return draw(n)

    method.drawn = drawn
    tiny.fit(method, data)
    for name, value in source.items():
        assert torch.equal(method.generator.state_dict()[name], value), name
    assert method.proxy.centroids.norm(dim=1).sub(1).abs().max() < 1e-5
    for centroids, deviation in fixed:
        assert torch.equal(method.proxy.centroids, centroids)
        assert torch.equal(method.rearranger.deviation, deviation)


@pytest.mark.parametrize("own", [True, False])
def test_the_rearrangers_loss_equals_the_published_one(own):
    stages = [Stage("self", 1 if own else 2, ["labeler"]), Stage("all", 9)]
    method, data = rearranger(stages=stages, lambda_self=7.0, lambda_mask=3.0, adv_every=50)
    method.double()
    record, states = tiny.Minimized(method), []
    minimize, seen = method.minimize, {}

    def watched(loss, optimizer):
        states.append((tiny.state(method), method.draws.rng.get_state()))
        minimize(loss, optimizer)

    method.minimize = watched
    forward = method.rearranger.forward

    def asked(f, skip, mask):
        seen.update(f=f, skip=skip, mask=mask)
        return forward(f, skip, mask)

    method.rearranger.forward = asked
    method.stages = stages[:1]
    method.plays = lambda *_: False
    tiny.fit(method, data, precision="64-true")
    method.load_state_dict(states[-1][0])
    pool, f_hat = method.pool, forward(seen["f"], seen["skip"], seen["mask"])

    def near(f):  # which sample of the pool
        return torch.stack([(pool.f - each).abs().flatten(1).sum(1) for each in f])

    plain, mirrored = near(seen["f"]), near(seen["f"].flip(3))
    turned = mirrored.min(1).values < plain.min(1).values
    index = torch.minimum(plain, mirrored).argmin(1)
    assert torch.minimum(plain, mirrored).min(1).values.max() == 0
    x_hat = method.generator.synthesis.images(*f_hat, pool.w[index])
    scores = method.labeler(x_hat).log_softmax(1)
    loss = 3 * slow_cross_entropy(scores, seen["mask"])
    if own:
        assert torch.equal(seen["mask"], pool.mask[index])
        unit = method.rearranger.deviation[:, None, None]
        wanted, image = pool.f[index], method.generator.synthesis(pool.w[index])
        loss = loss + 7 * (((f_hat[0] - wanted) / unit).abs().mean() + (x_hat - image).abs().mean())
    else:
        assert not turned.any()
        assert not torch.equal(seen["mask"], pool.mask[index])
    torch.testing.assert_close(record.losses[-1], loss.detach())


def test_it_learns_to_give_mirrored_features_back_by_their_own_mask():
    stages = [Stage("self", 160, ["labeler"], decay="cosine")]
    method, data = rearranger(stages=stages, lambda_mask=0.0, pool=1, lr=1e-2)
    method.plays = lambda *_: False
    tiny.fit(method, data)
    i = method.pool
    turned, _ = method.rearranger(i.f.flip(3), i.skip.flip(3), i.mask)
    kept = (turned - i.f).abs().mean()
    assert kept < 0.6 * (i.f.flip(3) - i.f).abs().mean()


def test_style_and_layout_come_from_two_latents():
    method, data = rearranger()
    tiny.fit(method, data)
    method.eval()
    prior = method.prior(3, torch.Generator().manual_seed(0))
    i, j = method.of(prior["z"]), method.of(prior["layout"])
    f, skip = method.rearranger(i.f, i.skip, j.mask)
    expected = method.generator.synthesis.images(f, skip, i.w).clamp(-1, 1)
    torch.testing.assert_close(method.generate(prior), expected)
    images, masks = method.layouts(prior["layout"])
    torch.testing.assert_close(images, j.image.clamp(-1, 1))
    assert torch.equal(masks, j.mask)


def test_without_a_pool_every_iteration_has_new_samples():
    method, data = rearranger(pool=None)
    drawn, draw = [], method.drawn
    method.drawn = lambda n: drawn.append(draw(n)) or drawn[-1]
    tiny.fit(method, data)
    everything = torch.cat([samples.image for samples in drawn]).flatten(1)
    assert len(everything.unique(dim=0)) == len(everything)


def test_without_a_labeler_the_features_are_read():
    stages = [Stage("self", 2), Stage("all", 2)]
    method, data = rearranger(labeler=None, stages=stages)
    tiny.fit(method, data)
    f, unit = method.pool.f, method.proxy.deviation[:, None, None]
    near = [F.cosine_similarity(f / unit, c[:, None, None]) for c in method.proxy.centroids]
    logits = torch.stack(near, 1) / 0.1
    torch.testing.assert_close(method.labels_of(f, f), logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"size": 16}, "give one of 4, 8"),
        ({"size": 5}, "cannot be split at 5"),
        ({"samples": 2}, "3 clusters are asked for from 2 samples"),
        ({"source": "sources/plain"}, "give the release of a StyleGAN2"),
        ({"adv_every": 0}, "expected at least 1"),
        ({"rearranger": Rearranger(7, 3, 3, 8, 4)}, "give channels: 8"),
    ],
)
def test_what_does_not_fit_a_rearranger_is_refused(settings, words):
    given = {"source": "sources/stylegan2", "rearranger": Rearranger(8, 3, 3, 8, 4), "size": 8}
    with pytest.raises(InputError, match=words):
        SISUGRearranger(**{**given, **settings}, stages=[Stage("all", 1)])


def test_a_labeler_stage_without_a_labeler_is_refused():
    stages = [Stage("labeler", 1, ["rearranger", "critic"])]
    method, data = rearranger(labeler=None, stages=stages)
    with pytest.raises(InputError, match="there is none"):
        tiny.fit(method, data)


def test_the_part_segmenter_learns_from_annotated_images():
    stages = [Stage("segment", 60, ["mapper", "critic"])]
    method, data = mapper(stages=stages, inversion_steps=30, lr=1e-2)
    before = tiny.state(method)
    tiny.fit(method, data)
    assert tiny.changed_networks(before, tiny.state(method)) == {"segmenter", "seed", "annotated_w"}
    logits = method.segmenter(method.generator.synthesis.pyramid(method.annotated_w))
    known = method.labels != 255
    assert (logits.argmax(1) == method.labels)[known].float().mean() > 0.6


def test_the_mappers_loss_equals_the_published_one():
    stages = [Stage("play", 1, ["segmenter"], weights={"recon": 5.0})]
    method, data = mapper(stages=stages)
    method.double()
    before, record, seen, draw = copy.deepcopy(method), tiny.Minimized(method), [], method.drawn
    method.drawn = lambda n: seen.append(draw(n)) or seen[-1]
    tiny.fit(method, data, precision="64-true")
    ((i, ids),) = seen
    logits = before.mapper(ids)
    pooled = logits.unflatten(3, (8, 2)).unflatten(2, (8, 2)).mean(dim=(3, 5))
    loss = 5 * slow_cross_entropy(pooled.log_softmax(1), i.mask)
    torch.testing.assert_close(record.losses[0], loss.detach())


def test_edits_of_labels_are_laid_out_in_the_style_that_is_given():
    method, data = mapper()
    tiny.fit(method, data)
    method.eval()
    x = data.split("val").fetch(range(3))
    z = torch.randn(3, method.style_dim, generator=torch.Generator().manual_seed(1))
    made = method.translate({**x, "style": z}, PARTS)
    i = method.generator.to_w(z)
    assert torch.equal(method.translate({**x, "style": i.flatten(1)}, PARTS), made)
    assert not torch.equal(method.translate(x, PARTS), made)
    read = method.read_styles(x["rgb"], "rgb")
    assert read.shape == (3, i[0].numel())
    assert method.translate({**x, "style": read}, PARTS).shape == x["rgb"].shape


@pytest.mark.parametrize("change", [7, -1, 200])
def test_labels_out_of_range_are_refused(change):
    method, data = mapper()
    x = data.split("val").fetch(range(2))
    x["segmentation"][1, 3, 4] = change
    with pytest.raises(InputError, match=f"has the id {change}: expected 0 to 4"):
        method.translate(x, PARTS)


def test_another_set_of_labels_asks_for_a_new_mapper():
    method, data = mapper()
    method.num_classes = 6
    with pytest.raises(InputError, match="train a new mapper for them, on the same"):
        tiny.fit(method, data)


def test_a_class_that_no_annotated_image_has_is_named(capsys):
    method, data = mapper(annotated=1)
    scenes = data.training_set("rs")
    scenes.stored["segmentation"].clamp_(max=2)
    tiny.fit(method, data)
    assert "has d, e: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"annotated": 99}, "the training set has 10 pairs"),
        ({"source": "mask"}, "no training set holds pairs of 'mask' and 'rgb'"),
    ],
)
def test_annotated_images_that_are_not_there_are_refused(settings, words):
    method, data = mapper(**settings)
    with pytest.raises(InputError, match=words):
        tiny.fit(method, data)


def test_a_mapper_to_another_number_of_clusters_is_refused():
    method, data = mapper()
    method.mapper.to_image = torch.nn.Conv2d(4, 7, 3, padding=1)
    with pytest.raises(InputError, match="makes 7 channels, and proxy masks have 3 clusters"):
        tiny.fit(method, data)


def test_a_segmenter_or_a_reader_is_wanted():
    network = OASISGenerator(5, out_channels=3, width=4, multiples=[2, 1], noise_dim=None)
    with pytest.raises(InputError, match="none are given"):
        SISUGMapper("sources/rearranger", network, [Stage("map", 1)])


def test_a_reader_of_images_stands_in_for_few_labels():
    segmenter, _ = tiny.build("translation/segmenter")
    save_release("reader", segmenter.release()[0], "# reader\n")
    stages = [Stage("play", 2, weights={"recon": 100.0, "adv": 1.0})]
    method, data = mapper(segmenter=None, reader="reader", stages=stages)
    tiny.fit(method, data)
    read = segmenter.eval().network(method.pool[0].image).argmax(1)
    assert torch.equal(read, method.pool[1])
    networks, facts = method.release()
    assert networks["network"] is method.reader
    assert facts["size"] == 8


def test_a_stopped_rearranger_goes_on_as_if_it_had_not():
    whole, data = rearranger()
    tiny.fit(whole, data)
    half, data = rearranger()
    half.stages = [Stage("self", 3, ["labeler"])]
    half.plays = lambda iteration, *_: iteration % 2 == 1
    tiny.fit(half, data).save_checkpoint("half.ckpt")
    again, data = rearranger(seed=1)
    tiny.trainer().fit(again, data, ckpt_path="half.ckpt", weights_only=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    assert torch.equal(again.pool.f, whole.pool.f)


def test_two_processes_give_the_gradients_of_one(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = port, str(tmp_path), ["sisug_rearranger"]
    with server().other_rank("translator_ranks.run_rank", *arguments):
        run_rank(0, *arguments)
    steps, end = gradients("sisug_rearranger", 4)
    assert len(steps) == 8  # in each of four iterations both players
    for rank in range(2):
        found, other_end = torch.load(tmp_path / f"sisug_rearranger-{rank}.pt", weights_only=True)
        for expected, got in zip(steps, found, strict=True):
            for parameter, value in expected.items():
                if value is not None:
                    torch.testing.assert_close(got[parameter], value, rtol=1e-3, atol=1e-5)
        for name, value in end.items():
            torch.testing.assert_close(other_end[name], value, rtol=1e-3, atol=1e-5)
