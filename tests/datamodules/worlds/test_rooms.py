"""Rooms: pure functions of (seed, index) with exact geometry and cues of known reliability."""

import math
import time

import pytest
import torch

from datamodules.base import translation_data
from datamodules.errors import DataError
from datamodules.worlds.rooms import world
from datamodules.worlds.rooms.plans import sample_plan
from datamodules.worlds.rooms.things import CEILING, CLASSES, FLOOR, PAIRS, WALL
from datamodules.worlds.rooms.world import MODALITIES, Rooms, render, render_plan

INDEX = torch.arange(24)
EVERYTHING = list(MODALITIES)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LIT_SYNTH_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def many():
    return render(0, torch.arange(800), 0, 32, ["rgb", "segmentation"])


def small(**changes):
    return Rooms(**{"scenes_per_set": 6, "n_val": 3, "n_test": 4, "batch_size": 2, **changes})


def points(plan, depth):
    """World coordinates of the pixel middles, derived from the camera's angles."""
    size = depth.shape[-1]
    middles = (torch.arange(size, dtype=torch.float64) + 0.5) * 2 / size - 1
    yaw = 2 * plan.camera.yaw.double().atan()[:, None, None]
    spread, shift = (v.double()[:, None, None] for v in (plan.camera.spread, plan.camera.shift))
    z, x = depth[:, 0].double(), depth[:, 0] * spread * middles
    y = depth[:, 0] * spread * (-middles[:, None] - shift)
    turned = [x * yaw.cos() + z * yaw.sin(), y, z * yaw.cos() - x * yaw.sin()]
    return torch.stack(turned, 1) + plan.camera.position.double()[:, :, None, None]


def bare(plan):
    things = plan.things
    half = things.half.clone()
    half[:, :-3] = -1
    return plan._replace(things=things._replace(half=half))


@pytest.mark.parametrize("rays", [500, 5000])
def test_a_picture_has_the_same_bits_however_the_work_is_divided(rays, monkeypatch):
    together = render(7, INDEX, 0, 33, EVERYTHING)
    monkeypatch.setattr(world, "_RAYS", rays)
    monkeypatch.setattr(world, "_PLANS", 4)
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    alone = render(7, INDEX[11:18], 0, 33, EVERYTHING)
    torch.set_num_threads(threads)
    assert all(torch.equal(alone[name], together[name][11:18]) for name in EVERYTHING)


def test_seeds_scenes_and_views_are_different_pictures():
    pictures = [
        render(seed, INDEX, view, 32, ["rgb"])["rgb"] for seed, view in ((0, 0), (1, 0), (0, 1))
    ]
    assert len(torch.cat(pictures).flatten(1).unique(dim=0)) == 3 * len(INDEX)
    first, second = (sample_plan(0, INDEX, view) for view in (0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first.things, second.things, strict=True))


def test_an_empty_room_is_its_six_planes():
    plan = bare(sample_plan(3, INDEX))
    pictures = render_plan(plan, 40, ["depth", "segmentation"])
    x, y, z = points(plan, pictures["depth"]).unbind(1)
    width, height = (2 * plan.things.half[:, -1, axis].double()[:, None, None] for axis in (0, 1))
    length = (plan.things.centre + plan.things.half)[:, -1, 2].double()[:, None, None]
    to_wall = torch.minimum((x.abs() - width / 2).abs(), (z - length).abs())
    distance = {FLOOR: y.abs(), CEILING: (y - height).abs(), WALL: to_wall}
    for label, off in distance.items():
        seen = pictures["segmentation"] == label
        assert seen.flatten(1).any(1).all()
        assert off[seen].max() < 1e-4
    assert set(pictures["segmentation"].unique().tolist()) == {FLOOR, CEILING, WALL}


def test_one_ray_to_the_back_wall_by_hand():
    """A level camera that looks straight ahead sees the wall as far as the wall is."""
    plan = bare(sample_plan(0, INDEX[:1]))
    still = torch.zeros(1)
    camera = plan.camera._replace(yaw=still, shift=still)
    wall = (plan.things.centre + plan.things.half)[0, -1, 2]
    depth = render_plan(plan._replace(camera=camera), 33, ["depth"])["depth"]
    assert math.isclose(depth[0, 0, 16, 16], wall - camera.position[0, 2], rel_tol=1e-6)


def test_things_are_where_the_plan_has_them():
    """A thing's pixels lie on its outline or within its notch, and not within what is left."""
    plan = sample_plan(5, INDEX)
    pictures = render_plan(plan, 48, ["depth", "segmentation"])
    seen = points(plan, pictures["depth"]).permute(0, 2, 3, 1)[:, :, :, None]
    things = plan.things

    def outside(centre, half):
        return ((seen - centre[:, None, None]).abs() - half[:, None, None]).amax(-1)

    on = outside(things.centre, things.half).abs() < 1e-4
    carved = outside(things.notch_centre, things.notch_half)
    explained = ((on & (carved > -1e-4)) | (carved.abs() < 1e-4)).any(-1)
    assert explained.all()
    assert (carved.abs() < 1e-4)[:, :, :, :-3].any((1, 2, 3)).all()


def test_normals_are_those_of_the_depth():
    """On every flat patch: of unit length, towards the camera, across what depth unprojects to."""
    plan = sample_plan(2, INDEX)
    pictures = render_plan(plan, 64, ["depth", "normals"])
    normals = pictures["normals"].double() / 127.5 - 1
    assert (normals.square().sum(1).sqrt() - 1).abs().max() < 0.01
    still = torch.zeros_like(plan.camera.yaw)
    camera = plan.camera._replace(yaw=still, position=torch.zeros_like(plan.camera.position))
    p = points(plan._replace(camera=camera), pictures["depth"])  # y up, z away from the camera
    across, down = p[:, :, :-1, 1:] - p[:, :, :-1, :-1], p[:, :, 1:, :-1] - p[:, :, :-1, :-1]
    expected = torch.nn.functional.normalize(torch.linalg.cross(across, down, dim=1), dim=1)
    expected[:, 2] *= -1  # the third channel is towards the camera
    here = normals[:, :, :-1, :-1]
    patch = normals.unfold(2, 2, 1).unfold(3, 2, 1).flatten(4)
    flat = (patch - here[..., None]).abs().amax((1, 4)) < 1e-6
    agree = (expected * here).sum(1)[flat] > 0.99  # of 8 bits
    assert flat.double().mean() > 0.5
    assert agree.double().mean() > 0.92  # not where one parallel plane hides another


def test_every_class_is_seen_often(many):
    labels = many["segmentation"]
    shares = labels.flatten().bincount(minlength=len(CLASSES)) / labels.numel()
    assert len(shares) == len(CLASSES)
    assert shares.min() > 0.02
    scenes = torch.stack([(labels == c).flatten(1).sum(1) >= 5 for c in range(len(CLASSES))])
    assert scenes.float().mean(1).min() > 1 / 3


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: "-".join(CLASSES[c] for c in pair.classes))
def test_the_hue_names_the_class_as_often_as_declared(pair, many):
    labels = many["segmentation"]
    of_pair = (labels == pair.classes[0]) | (labels == pair.classes[1])
    inner = -torch.nn.functional.max_pool2d(-of_pair[:, None].float(), 3, 1, 1)[:, 0] > 0
    rgb = (many["rgb"].float() / 255).square().permute(0, 2, 3, 1)[inner]
    mode = _distance(_hue(rgb), pair.hues[1]) < _distance(_hue(rgb), pair.hues[0])
    right = (mode == (labels[inner] == pair.classes[1])).float().mean()
    assert abs(float(right) - pair.reliability) < 0.04


def _hue(rgb):
    r, g, b = rgb.unbind(-1)
    return torch.atan2(math.sqrt(3) * (g - b), 2 * r - g - b) / (2 * math.pi)


def _distance(hue, middle):
    return ((hue - middle + 0.5) % 1 - 0.5).abs()


def test_colour_knows_only_outlines():
    """Another class, notch or material of the same outline changes depth, classes, infrared."""
    plan = sample_plan(0, INDEX)
    things = plan.things
    changed = things._replace(
        label=(things.label + 1) % len(CLASSES),
        notch_half=torch.full_like(things.notch_half, -1.0),
        material=(things.material + 1) % 8,
    )
    before, after = (render_plan(p, 32, EVERYTHING) for p in (plan, plan._replace(things=changed)))
    assert torch.equal(before["rgb"], after["rgb"])
    for name in ("depth", "segmentation", "nir", "normals"):
        assert not torch.equal(before[name], after[name])


def test_near_infrared_knows_materials_and_no_colours():
    plan = sample_plan(0, INDEX)
    grey = plan._replace(
        things=plan.things._replace(colour=torch.full_like(plan.things.colour, 0.5))
    )
    before, after = (render_plan(p, 32, ["rgb", "nir"]) for p in (plan, grey))
    assert torch.equal(before["nir"], after["nir"])
    assert not torch.equal(before["rgb"], after["rgb"])


def test_sets_and_splits_share_no_scene(monkeypatch):
    data = small(views_per_scene=2)
    data.setup("fit")
    parts = [data.training_set("rs").ids, data.training_set("rd").ids, data.split("val").ids]
    parts.append(data.split("test").ids)
    assert [len(ids) for ids in parts] == [12, 12, 6, 8]
    assert sum(len(set(ids)) for ids in parts) == len({i for ids in parts for i in ids}) == 19
    assert data.split("test").ids[:3] == ["room-1000000", "room-1000000", "room-1000001"]
    monkeypatch.setattr(translation_data, "_LISTED", 1)
    monkeypatch.setitem(world._FIRST, "test", 2 * world._BLOCK)
    with pytest.raises(DataError, match="set rs and test share 4 scenes: room-2000000 and 3 more"):
        small().setup("fit")


def test_the_complete_set_is_nobody_elses(monkeypatch):
    data = small(sets={"rs": ["rgb", "segmentation"], "rd": ["rgb", "depth"], "n": ["nir"]})
    complete = data.complete_set(["depth", "segmentation"])
    assert list(complete.modalities) == ["depth", "segmentation"]
    assert len(complete) == 6
    others = [*map(data.training_set, data.sets), data.split("val"), data.split("test")]
    assert not {i for each in others for i in each.ids} & set(complete.ids)
    seen = torch.cat([data.training_set("rd").fetch(range(6))["depth"]])
    assert not any(torch.equal(a, b) for a in complete.fetch(range(6))["depth"] for b in seen)
    with pytest.raises(DataError, match="no modality 'heat' among rgb"):
        data.complete_set(["heat"])
    monkeypatch.setattr(world, "_COMPLETE", 3 * world._BLOCK)
    with pytest.raises(DataError, match="set rd and the complete set share 6 scenes"):
        data.complete_set(["depth", "segmentation"])


def test_batches_follow_the_contract():
    sets = {"rs": ["rgb", "segmentation"], "dnn": ["depth", "nir", "normals"]}
    data = small(sets=sets)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert set(batch["rs"]) == {"rgb", "segmentation", "index"}
    assert batch["rs"]["rgb"].shape == (2, 3, 32, 32)
    assert batch["rs"]["segmentation"].dtype == torch.int64
    assert batch["dnn"]["depth"].shape == batch["dnn"]["nir"].shape == (2, 1, 32, 32)
    assert batch["dnn"]["depth"].min() > 0.5
    hidden = next(iter(data.test_dataloader()))
    assert set(hidden) == {*EVERYTHING, "index"}
    assert hidden["normals"].abs().max() <= 1
    assert list(small().split("val").modalities) == ["rgb", "depth", "segmentation"]
    assert list(small(held_out=["nir"]).split("val").modalities) == ["nir"]


def test_views_of_a_scene_follow_each_other():
    twice, once = small(views_per_scene=2).split("val"), small().split("val")
    assert torch.equal(twice.fetch([0, 2, 4])["rgb"], once.fetch([0, 1, 2])["rgb"])
    assert torch.equal(
        twice.fetch([3])["depth"], render(0, torch.tensor([1]), 1, 32, ["depth"])["depth"]
    )


@pytest.mark.parametrize("damage", [lambda b: b[:-7], lambda b: b[:0], lambda b: b[:-1] + b"\xff"])
def test_a_broken_cache_is_made_again(damage, tmp_path, monkeypatch):
    fresh = small().split("val").stored
    (file,) = (tmp_path / "cache" / "worlds").glob("*")
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert torch.equal(small().split("val").stored["rgb"], fresh["rgb"])
    assert file.read_bytes() == whole
    monkeypatch.setattr(world, "render", None)
    assert torch.equal(small().split("val").stored["depth"], fresh["depth"])
    with pytest.raises(TypeError):  # another world is not answered with this one
        small(world_seed=1).split("val")


def test_a_core_renders_fast_enough_to_train_from():
    render(0, INDEX, 0, 64, ["rgb", "depth", "segmentation"])
    start = time.process_time()
    render(0, INDEX, 0, 64, ["rgb", "depth", "segmentation"])
    assert len(INDEX) / (time.process_time() - start) > 30  # about 450 on an idle core


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": 16}, "image_size is 16; give 32 to 256"),
        ({"sets": {"x": ["heat"]}}, "'heat', which is not among rgb, depth"),
        ({"held_out": ["heat"]}, r"held_out is \['heat'\]; give some of rgb, depth"),
        ({"views_per_scene": 0}, "views_per_scene is 0; give 1 to 100"),
        ({"world_seed": -1}, "world_seed is -1; give 0 or more"),
        ({"n_val": 0}, "0 scenes were asked for; give 1 to 1000000"),
        (
            {"sets": {"n": ["normals"]}, "augment": [{"class_path": "HorizontalFlip"}]},
            "set n has normals, which augment would not turn",
        ),
    ],
)
def test_impossible_requests_are_named(arguments, message):
    with pytest.raises(DataError, match=message):
        Rooms(**arguments)
