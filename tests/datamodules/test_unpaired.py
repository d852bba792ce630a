"""Unpaired domains: layouts, streams of their own, held-out items without partners."""

import pytest
import torch
from PIL import Image
from scene_trees import MODALITIES, scene, write_image, write_scenes

from datamodules.errors import DataError
from datamodules.unpaired import Unpaired, read_folder


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("LIT_SYNTH_CACHE", str(tmp_path_factory.mktemp("cache")))


def write_domains(root, counts, name="{part}{domain}"):
    """Write {(part, domain): number of images}."""
    seed = 0
    for (part, domain), count in counts.items():
        for i in range(count):
            write_image(root / name.format(part=part, domain=domain) / f"{i}.png", seed)
            seed += 1


COUNTS = {("train", "A"): 3, ("train", "B"): 5, ("test", "A"): 2, ("test", "B"): 3}


def message(root, **options):
    with pytest.raises(DataError) as caught:
        Unpaired(str(root), 12, **options).setup("fit")
    return str(caught.value)


@pytest.mark.parametrize("layout", ["{part}{domain}", "{part}/{domain}"])
def test_both_layouts_give_a_set_of_each_domain(tmp_path, layout):
    write_domains(tmp_path, COUNTS, layout)
    data = Unpaired(str(tmp_path), 12, batch_size=2)
    data.setup("fit")
    assert data.sets == {"A": ["A"], "B": ["B"]}
    assert [len(data.training_set(name)) for name in "AB"] == [3, 5]
    batch = next(iter(data.train_dataloader()))
    assert batch["A"]["A"].shape == batch["B"]["B"].shape == (2, 3, 12, 12)
    assert (data.has_split("val"), data.has_split("test"), data.aligned) == (False, True, False)


def test_held_out_items_start_again_in_the_smaller_domain(tmp_path):
    write_domains(tmp_path, COUNTS)
    test = Unpaired(str(tmp_path), 12).split("test")
    assert len(test) == 3
    items = test.fetch([0, 1, 2])
    assert torch.equal(items["A"][2], items["A"][0])
    assert not torch.equal(items["A"][1], items["A"][0])
    assert not torch.equal(items["B"][2], items["B"][0])
    assert test.ids == ["test/0+0", "test/1+1", "test/0+2"]


def test_many_domains_with_names_and_labels(tmp_path):
    write_domains(tmp_path, {("train", "_red"): 2, ("train", "_blue"): 2, ("train", "_grey"): 2})
    data = Unpaired(
        str(tmp_path),
        12,
        domains={"red": "_red", "grey": "_grey"},
        modalities={"red": {"label": 0}, "grey": {"label": 1, "channels": 1}},
    )
    data.setup("fit")
    assert data.sets == {"red": ["red"], "grey": ["grey"]}
    assert [data.modalities[name].label for name in data.modalities] == [0, 1]
    assert data.training_set("grey").fetch([0])["grey"].shape == (1, 1, 12, 12)


def test_cyclegan_crops_what_is_loaded_larger(tmp_path):
    write_domains(tmp_path, COUNTS)
    flip = [{"class_path": "HorizontalFlip"}]
    data = Unpaired(str(tmp_path), 8, load_size=12, augment=flip, batch_size=12)
    whole = data.training_set("A").fetch([0, 1, 2])["A"]
    assert whole.shape == (3, 3, 12, 12)
    both = torch.cat([whole, whole.flip(3)])
    windows = both.unfold(2, 8, 1).unfold(3, 8, 1).permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
    crops = next(iter(data.train_dataloader()))["A"]["A"]
    matches = [(windows - crop).abs().flatten(1).amax(1).argmin().item() for crop in crops]
    torch.testing.assert_close(windows[matches], crops)  # every crop is somewhere in some image
    assert len(set(matches)) > 6
    assert data.split("test").fetch([0])["B"].shape == (1, 3, 8, 8)


def test_the_crop_comes_after_the_other_transforms(tmp_path):
    write_domains(tmp_path, COUNTS)
    centre = [{"class_path": "CenterCrop", "init_args": {"height": 8, "width": 8}}]
    data = Unpaired(str(tmp_path), 8, load_size=12, augment=centre, batch_size=3)
    batch = next(iter(data.train_dataloader()))["A"]
    middle = data.training_set("A").fetch(batch["index"].tolist())["A"][:, :, 2:10, 2:10]
    torch.testing.assert_close(batch["A"], middle)


def test_domains_need_not_be_of_one_size(tmp_path):
    write_domains(tmp_path, {("train", "A"): 2, ("train", "B"): 1})
    write_image(tmp_path / "trainB/other.png", 9, (20, 30))
    data = Unpaired(str(tmp_path), 12)
    data.setup("fit")
    assert data.training_set("B").ids == ["train/B/0", "train/B/other"]
    assert data.training_set("B").fetch([0, 1])["B"].shape == (2, 3, 12, 12)


def test_one_domain_is_too_few(tmp_path):
    write_domains(tmp_path, {("train", "A"): 1})
    assert "has 1 domains" in message(tmp_path)
    assert "There is no folder" in message(tmp_path / "nowhere")


def test_a_domain_that_is_not_held_out_is_named(tmp_path):
    write_domains(tmp_path, {**COUNTS, ("test", "B"): 0})
    assert f"There is no folder {tmp_path / 'testB'}" in message(tmp_path)


def test_an_image_of_two_domains_is_named(tmp_path):
    write_domains(tmp_path, COUNTS)
    (tmp_path / "trainB/copy.png").write_bytes((tmp_path / "trainA/1.png").read_bytes())
    assert "trainA/1.png and trainB/copy.png" in message(tmp_path)


def test_a_training_image_of_one_colour_is_named(tmp_path):
    write_domains(tmp_path, COUNTS)
    for part in ("trainB", "testB"):
        Image.new("RGB", (20, 20), (9, 8, 7)).save(tmp_path / part / "blank.png")
    for _ in range(2):  # found, and remembered
        found = message(tmp_path)
        assert "1 training images have one colour in all pixels" in found
        assert "trainB/blank.png" in found
    (tmp_path / "trainB/blank.png").unlink()
    (tmp_path / "testB/blank.png").rename(tmp_path / "testB/9.png")
    Unpaired(str(tmp_path), 12).setup("fit")


def test_a_declaration_without_domain_is_named(tmp_path):
    write_domains(tmp_path, COUNTS)
    assert "'C', which is no domain" in message(tmp_path, modalities={"C": {}})


def test_a_folder_to_translate(tmp_path):
    write_scenes(tmp_path, ["depth"], ["s2", "s1"])
    depth = {"depth": MODALITIES["depth"]}
    nested, plain = (read_folder(f, depth, 12) for f in (tmp_path, tmp_path / "depth"))
    assert nested.ids == plain.ids == ["s1", "s2"]
    assert torch.equal(nested.fetch([1])["depth"][0], scene(2)["depth"])
    assert torch.equal(plain.fetch([1])["depth"], nested.fetch([1])["depth"])


def test_a_folder_of_several_modalities_to_translate(tmp_path):
    write_scenes(tmp_path, MODALITIES, ["s2", "s1"])
    scenes = read_folder(tmp_path, MODALITIES, 6)
    assert list(scenes.fetch([0])) == [*MODALITIES, "index"]
    write_image(tmp_path / "rgb/s3.png")
    with pytest.raises(DataError, match="s3 lacks depth, seg"):
        read_folder(tmp_path, MODALITIES, 6)


def test_what_cannot_be_translated_is_named(tmp_path):
    (tmp_path / "x.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"x\.png is not an image"):
        read_folder(tmp_path, {"rgb": MODALITIES["rgb"]}, 6)
