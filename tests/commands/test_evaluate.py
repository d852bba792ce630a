import argparse
import json

import pytest
import torch
from PIL import Image

from datamodules.errors import DataError
from lit_synth.commands import evaluate
from lit_synth.errors import InputError


@pytest.fixture(autouse=True)
def private_caches(tmp_path, monkeypatch):
    monkeypatch.setenv("LIT_SYNTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))


def pictures(n, seed, size=16, brightness=0):
    rng = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 120, (n, size, size), generator=rng) + brightness
    return pixels.to(torch.uint8)


def write(folder, pixels, mode="L"):
    folder.mkdir()
    for i, image in enumerate(pixels):
        Image.fromarray(image.numpy()).convert(mode).save(folder / f"{i:03}.png")
    return str(folder)


def run(*words):
    parser = argparse.ArgumentParser()
    evaluate.add_parser(parser.add_subparsers())
    return evaluate.run(parser.parse_args(["evaluate", *words]))


def report(path):
    content = json.loads(path.read_text())
    return content["values"], content["card"]


def test_far_images_score_worse_and_the_table_says_what_measured_it(tmp_path, capsys):
    real = write(tmp_path / "real", pictures(30, 0, size=20))
    near, far = pictures(30, 1), pictures(30, 2, brightness=100)
    out = tmp_path / "reports" / "near.json"
    assert run(real, write(tmp_path / "near", near), "--out", str(out)) == 0
    assert run(real, write(tmp_path / "far", far), "--out", str(tmp_path / "far.json")) == 0
    (good, card), (bad, _) = report(out), report(tmp_path / "far.json")
    assert good["fid"] < bad["fid"]
    assert good["kid"] < bad["kid"]
    assert good["nearest_ratio"] < bad["nearest_ratio"]
    assert good["kid_se"] > 0
    assert (card["n_real"], card["n_fake"]) == (30, 30)
    assert "16 pixels" in card["note"]
    printed = capsys.readouterr().out
    assert "random-conv-64" in printed
    assert "biased upwards" in printed
    assert "differ in size" not in printed


def test_copies_are_found_and_drawn_over_their_originals(tmp_path):
    train = pictures(24, 3)
    folders = [
        write(tmp_path / "real", pictures(24, 4)),
        write(tmp_path / "fake", train[[5, 2, 9, 7]], mode="RGB"),
    ]
    out = tmp_path / "r.json"
    run(*folders, "--train", write(tmp_path / "train", train), "--out", str(out))
    values, _ = report(out)
    assert values["memorisation_ratio"] < 0.01
    assert values["memorisation_share"] == 1
    assert "nearest_ratio" not in values
    grid = Image.open(tmp_path / "r.nearest.png")
    # 4 columns and 2 rows of 64 pixels, with torchvision's margins of 2.
    assert grid.size == (4 * 66 + 2, 2 * 66 + 2)
    top, bottom = grid.crop((0, 2, 266, 66)), grid.crop((0, 68, 266, 132))
    assert top.tobytes() == bottom.tobytes()


def test_n_takes_equally_many_of_each_and_repeats_with_its_seed(tmp_path):
    folders = write(tmp_path / "a", pictures(20, 5)), write(tmp_path / "b", pictures(30, 6))
    values = []
    for name, seed in [("1", "0"), ("2", "0"), ("3", "1")]:
        run(*folders, "--n", "12", "--seed", seed, "--out", str(tmp_path / f"{name}.json"))
        found, card = report(tmp_path / f"{name}.json")
        assert (card["n_real"], card["n_fake"]) == (12, 12)
        values.append(found["fid"])
    assert values[0] == values[1] != values[2]
    with pytest.raises(InputError, match="which has 20"):
        run(*folders, "--n", "21")


def test_inception_weights_are_asked_for_in_one_sentence(tmp_path, monkeypatch):
    def offline(*_):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    folder = write(tmp_path / "a", pictures(8, 7))
    with pytest.raises(InputError, match="save it as"):
        run(folder, folder, "--extractor", "inception")


def test_missing_and_unreadable_folders(tmp_path):
    folder = write(tmp_path / "a", pictures(8, 8))
    with pytest.raises(DataError, match="does not exist"):
        run(folder, str(tmp_path / "nowhere"))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "0.png").write_text("no image")
    with pytest.raises(InputError, match="not an image"):
        run(folder, str(tmp_path / "broken"))
    with pytest.raises(InputError, match="no release"):
        run(folder, folder, "--extractor", "resnet")
