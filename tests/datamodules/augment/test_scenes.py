"""Joint augmentation: one geometry for all modalities, true depth, colours of chosen images."""

import pickle

import pytest
import torch

from datamodules.augment.scenes import build_joint_augment
from datamodules.errors import DataError
from datamodules.items.modalities import Modality

MODALITIES = {
    "rgb": Modality("image", 3),
    "nir": Modality("image", 1),
    "depth": Modality("depth", 1),
    "seg": Modality("labels", 16),
}
FLIPS = [{"class_path": "HorizontalFlip"}, {"class_path": "VerticalFlip"}]


def scenes(n=1, size=16):
    """Return scenes of blocks of 4 pixels, in which all modalities tell the same class."""
    labels = torch.randint(0, 16, (n, size // 4, size // 4)).repeat_interleave(4, 1)
    labels = labels.repeat_interleave(4, 2)
    grey = (labels * 17)[:, None] / 127.5 - 1
    return {
        "rgb": grey.repeat(1, 3, 1, 1),
        "nir": grey,
        "depth": labels[:, None] + 1.0,
        "seg": labels,
        "index": torch.arange(n),
    }


def augment(specs, batch, seeds, modalities=MODALITIES, size=None):
    return build_joint_augment(specs, modalities, size)(batch, seeds)


def zoom(low, high=None):
    return {"class_path": "RandomZoom", "init_args": {"scale": [low, high or low]}}


def test_all_modalities_move_together():
    batch = scenes(8)
    turned = augment([*FLIPS, {"class_path": "RandomRotate90"}], batch, range(8))
    assert sum(not torch.equal(a, b) for a, b in zip(turned["seg"], batch["seg"], strict=True)) >= 4
    assert torch.equal(turned["depth"][:, 0], turned["seg"] + 1.0)
    torch.testing.assert_close(turned["nir"][:, 0], turned["seg"] * 17 / 127.5 - 1)
    torch.testing.assert_close(turned["rgb"], turned["nir"].expand_as(turned["rgb"]))
    assert torch.equal(turned["index"], batch["index"])
    assert [turned[name].dtype for name in MODALITIES] == [batch[name].dtype for name in MODALITIES]


def test_a_set_moves_as_it_would_with_all_modalities():
    batch, specs = scenes(4), [*FLIPS, zoom(0.8, 1.2)]
    alone = augment(specs, {"seg": batch["seg"]}, range(4))
    assert list(alone) == ["seg"]
    assert torch.equal(alone["seg"], augment(specs, batch, range(4))["seg"])


def test_a_draw_is_reproduced_by_its_seed_alone():
    one, specs = scenes(), [zoom(0.8, 1.2), {"class_path": "GaussNoise", "only": ["rgb"]}]
    batch = {name: x.expand(3, *x.shape[1:]) for name, x in one.items()}
    together = augment(specs, batch, [5, 6, 7])
    again = augment(specs, one, [7])
    assert all(torch.equal(together[name][2], again[name][0]) for name in MODALITIES)
    assert not torch.equal(together["seg"][0], together["seg"][1])


@pytest.mark.parametrize("factor", [2.0, 0.5])
def test_zooming_in_brings_things_nearer(factor):
    batch = scenes()
    zoomed = augment([zoom(factor)], batch, [0])
    known = zoomed["seg"] != 255
    assert torch.equal(zoomed["depth"][:, 0][known], (zoomed["seg"][known] + 1.0) / factor)
    if factor == 2:
        centre = batch["seg"][:, 4:12, 4:12].repeat_interleave(2, 1).repeat_interleave(2, 2)
        assert torch.equal(zoomed["seg"], centre)
    else:
        inside = torch.zeros(16, 16, dtype=torch.bool)
        inside[4:12, 4:12] = True
        assert torch.equal(known[0], inside)
        assert torch.equal(zoomed["depth"][:, 0] == 0, ~known)
        assert zoomed["rgb"][:, :, :3].max() == -1  # black


def test_labels_and_depth_are_never_mixed():
    batch = scenes(4)
    turned = augment(
        [{"class_path": "Affine", "init_args": {"rotate": [20, 40], "p": 1}}], batch, range(4)
    )
    for before, after, depth in zip(batch["seg"], turned["seg"], turned["depth"], strict=True):
        assert set(after.unique().tolist()) <= {*before.unique().tolist(), 255}
        assert torch.equal(depth[0], torch.where(after == 255, 0, after + 1).float())
        assert (after == 255).any()
    assert len(turned["nir"].unique()) > len(batch["nir"].unique())  # images are interpolated


def test_what_is_reflected_stays_known():
    # cv2.BORDER_REFLECT_101 is 4.
    moved = {"translate_px": {"x": [5, 5], "y": [0, 0]}, "border_mode": 4, "p": 1}
    turned = augment([{"class_path": "Affine", "init_args": moved}], scenes(), [0])
    assert (turned["seg"] != 255).all()
    assert torch.equal(turned["depth"][:, 0], turned["seg"] + 1.0)


def test_colours_change_in_the_named_images_alone():
    batch = scenes(3)
    noise = {"class_path": "GaussNoise", "init_args": {"p": 1.0}, "only": ["nir"]}
    noisy = augment([noise], batch, range(3))
    assert not torch.equal(noisy["nir"], batch["nir"])
    for name in ("depth", "seg"):
        assert torch.equal(noisy[name], batch[name])
    torch.testing.assert_close(noisy["rgb"], batch["rgb"])


def test_colours_of_the_only_image_need_no_name():
    only_rgb = {name: MODALITIES[name] for name in ("rgb", "depth")}
    specs = [{"class_path": "InvertImg", "init_args": {"p": 1.0}}]
    batch = scenes()
    torch.testing.assert_close(augment(specs, batch, [0], only_rgb)["rgb"], -batch["rgb"])


def test_containers_nest():
    either = {"class_path": "OneOf", "init_args": {"transforms": FLIPS, "p": 1.0}}
    batch = scenes()
    seen = [augment([either], batch, [seed]) for seed in range(8)]
    assert all(torch.equal(each["depth"][:, 0], each["seg"] + 1.0) for each in seen)
    ways = {tuple(each["seg"].flatten().tolist()) for each in seen}
    assert ways == {tuple(batch["seg"].flip(d).flatten().tolist()) for d in (1, 2)}


def test_a_crop_at_the_end_may_change_the_size():
    crop = {"class_path": "RandomCrop", "init_args": {"height": 8, "width": 8}}
    batch = scenes(6)
    cropped = augment([crop], batch, range(6), size=8)
    assert cropped["rgb"].shape == (6, 3, 8, 8)
    assert torch.equal(cropped["depth"][:, 0], cropped["seg"] + 1.0)
    with pytest.raises(DataError, match="8x8 pixels large; it must be 16x16"):
        augment([crop], batch, range(6))


def test_it_travels_to_worker_processes():
    built = build_joint_augment([zoom(0.9, 1.1), *FLIPS], MODALITIES)
    again, batch = pickle.loads(pickle.dumps(built)), scenes()
    assert torch.equal(again(batch, [3])["seg"], built(batch, [3])["seg"])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"class_path": "ColorJitter"}, "say of which images"),
        ({"class_path": "ColorJitter", "only": ["depth"]}, "there are rgb, nir"),
        ({"class_path": "ColorJitter", "only": "rgb"}, "say of which images"),
        ({"class_path": "HorizontalFlip", "only": ["rgb"]}, "must change all modalities"),
        ({"class_path": "HorizontalFlop"}, "no transform HorizontalFlop"),
        (zoom(0.0), "positive"),
        (
            {
                "class_path": "OneOf",
                "init_args": {
                    "transforms": [{"class_path": "InvertImg"}, {"class_path": "HorizontalFlip"}]
                },
            },
            "list them apart",
        ),
    ],
)
def test_wrong_transforms_are_named(spec, message):
    with pytest.raises(DataError, match=message):
        build_joint_augment([spec], MODALITIES)


def test_normalised_images_are_refused():
    with pytest.raises(DataError, match="made rgb float32"):
        augment([{"class_path": "Normalize", "only": ["rgb"]}], scenes(), [0])
