"""Values, shapes and relations that no run can use: one sentence each, before anything trains."""

from pathlib import Path

import pytest
import tiny
import yaml
from bad_input import fit, refused, unconditional, write_config, write_images
from scene_trees import write_image

from datamodules.errors import DataError
from datamodules.labelled.table import read_csv
from lit_synth.cli import main
from lit_synth.errors import InputError
from lit_synth.stages import Stage, check_stages

MODEL, DATA = "--model.init_args.", "--data.init_args."


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([MODEL + "n_critic", "0"], "--model.init_args.n_critic is 0: expected 1 or more."),
        ([MODEL + "lr=-0.1"], "lr is -0.1: expected a number above 0."),
        ([MODEL + "betas", "[0.5, 2]"], "betas is 2.0: expected numbers from 0 to below 1"),
        ([MODEL + "betas", "[-1, 0.9]"], "betas is -1.0: expected numbers from 0 to below 1"),
        ([MODEL + "lambda_gp=-10"], "lambda_gp is -10.0: expected 0 or more."),
        ([MODEL + "generator.init_args.width", "0"], "generator.init_args.width is 0: expected 1"),
        ([MODEL + "critic.init_args.width=-4"], "critic.init_args.width is -4: expected 1"),
        ([MODEL + "generator.init_args.latent_dim=0"], "latent_dim is 0: expected 1"),
        ([MODEL + "stages", "[{name: a, iterations: 0}]"], "stage 'a' has 0 iterations"),
        ([MODEL + "stages", "[{name: a, iterations: 1, warmup: -1}]"], "has warmup -1: expected 0"),
        ([DATA + "num_workers=-1"], "--data.init_args.num_workers is -1: expected 0 or more."),
        ([DATA + "batch_size=0"], "batch_size is 0: expected 1 or more."),
        ([DATA + "limit=-5"], "--data.init_args.limit is -5: expected 1 or more."),
        ([DATA + "seed=-1"], "--data.init_args.seed is -1: expected 0 to 4294967295."),
        (["--seed_everything=-1"], "--seed_everything is -1: expected 0 to 4294967295."),
        (["--seed_everything", "4294967296"], "--seed_everything is 4294967296: expected 0 to"),
        (["--samples.n", "0"], "--samples.n is 0: expected 1 or more."),
        (["--evaluate.n_fake=-8"], "--evaluate.n_fake is -8: expected 1 or more."),
        (["--run_id", ""], "--run_id is '': expected a plain folder name"),
        (["--trainer.max_steps", "3"], "--trainer.max_steps is 3, but the method's stages say"),
        (["--trainer.limit_train_batches", "5"], "--trainer.limit_train_batches is 5, but the"),
        (["--trainer.gradient_clip_val", "1"], "--trainer.gradient_clip_val is 1, but the"),
        (["--trainer.accelerator", "tpu"], "the trainer cannot be made as --trainer asks:"),
        (["--trainer.strategy", "nowhere"], "the trainer cannot be made as --trainer asks:"),
        (["--trainer.devices", "0"], "the trainer cannot be made as --trainer asks:"),
        (["--runs_dir", "/proc/nowhere"], "/proc/nowhere"),
    ],
    ids=lambda each: "".join(each).split("init_args.")[-1] if isinstance(each, list) else "",
)
def test_value(workdir, capsys, arguments, said):
    assert said in refused(capsys, *fit(write_config(workdir), *arguments))
    assert not Path("runs").exists() or not list(Path("runs").rglob("*.ckpt"))


def test_a_learning_rate_of_nothing_is_said(workdir, capsys):
    assert main([str(each) for each in fit(write_config(workdir), MODEL + "lr", "0")]) == 0
    assert "--model.init_args.lr is 0: what it is the" in capsys.readouterr().err


def test_window_of_a_selector(workdir, capsys):
    config = write_config(workdir, "minegan")
    assert "window is 0: expected 1" in refused(capsys, *fit(config, MODEL + "window", "0"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"warmup": -1}, "warmup -1: expected 0 or more"),
        ({"lr_scale": 0.0}, "lr_scale 0.0: expected a number above 0"),
        ({"lr_scale": float("nan")}, "lr_scale nan"),
        ({"weights": {"rgb": -1.0}}, "weighs 'rgb' by -1.0: expected 0 or more"),
    ],
)
def test_stage(changes, said):
    with pytest.raises(InputError, match=said):
        check_stages([Stage("a", 1, **changes)])


def test_output_that_cannot_be_written(workdir, capsys):
    folder = write_images(workdir / "images")
    (workdir / "file").touch()
    said = refused(capsys, "check", folder, "--sheet", "file/sheet.png")
    assert said.startswith("file")
    assert "cannot be read or written" in said


# Sizes and channels.


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("wgan_gp", {"channels": 3}, "give --data.init_args.channels 1, or networks for these, "
         "--model.init_args.generator.init_args.image_size 16 "
         "--model.init_args.generator.init_args.image_channels 3 "
         "--model.init_args.critic.init_args.image_size 16 "
         "--model.init_args.critic.init_args.image_channels 3."),
        ("wgan_gp", {"image_size": 32}, "give --data.init_args.image_size 16, or networks"),
        ("vae", {"channels": 3}, "give --data.init_args.channels 1"),
        ("transfergan", {"channels": 3}, "give --data.init_args.channels 1."),
        ("transfergan", {"channels": 3, "image_size": 32},
         "is for images of 1 channel of 16x16 px, but Unconditional gives 3 channels of 32x32 px: "
         "give --data.init_args.image_size 16 --data.init_args.channels 1."),
        ("transfer_acgan", {"channels": 3, "labels": "folders"}, "--data.init_args.channels 1."),
        ("minegan", {"channels": 3}, "the network generators.0 is for images of 1 channel"),
        ("minegan", {"image_size": 32}, "give --data.init_args.image_size 16."),
        ("bsa", {"channels": 3}, "give --data.init_args.channels 1."),
        ("dgn_am", {"image_size": 32}, "--data.init_args.image_size 16"),
        ("ppgn", {"channels": 3}, "--data.init_args.channels 1"),
    ],
)  # fmt: skip
def test_images_of_another_shape(workdir, capsys, name, given, said):
    """A grey source of 16 px, RGB photos: the flag that mends it."""
    write_images(workdir / "images/a", mode="RGB")
    config = write_config(workdir, name, data=unconditional(workdir / "images", **given))
    assert said in refused(capsys, *fit(config))


def test_networks_of_two_shapes(workdir, capsys):
    config = write_config(workdir)
    said = refused(capsys, *fit(config, MODEL + "critic.init_args.image_size", "32"))
    assert "generator is for images of 1 channel of 16x16 px, but the network critic" in said


# Relations.


def domains(folder):
    for seed, part in enumerate(("trainA", "trainB", "trainC")):
        for i in range(3):
            write_image(folder / part / f"{i}.png", 10 * seed + i, (20, 20))


def translation(workdir, name, **data):
    """Copy a file of tests/conf/translation for the domains A and B of the folder `own`."""
    domains(workdir / "own")
    settings = yaml.safe_load((tiny.CONF / f"translation/{name}.yaml").read_text())
    settings["data"] = {"class_path": "Unpaired", "init_args": {"root": "own", "image_size": 16}}
    settings["data"]["init_args"] |= data
    settings["evaluate"] = settings["samples"] = {"every_n_iterations": None}
    path = workdir / f"{name}.yaml"
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    return path


def test_a_generator_given_domains(workdir, capsys):
    domains(workdir / "own")
    data = {"class_path": "Unpaired", "init_args": {"root": "own", "image_size": 16}}
    said = refused(capsys, *fit(write_config(workdir, data=data)))
    assert said.startswith("WGANGP takes images of one kind, but Unpaired holds A, B, C: give")


@pytest.mark.parametrize("name", ["cyclegan", "munit", "sdit", "stargan", "pix2pix", "udit"])
def test_a_translator_given_images(workdir, capsys, name):
    config = translation(workdir, name)
    write_images(workdir / "images")
    settings = yaml.safe_load(config.read_text()) | {"data": unconditional("images")}
    config.write_text(yaml.safe_dump(settings))
    said = refused(capsys, *fit(config))
    assert "translates between domains or modalities, but Unconditional holds images" in said


# Networks that state no size: what torch says, as a sentence, at the first step.


GREY = {"channels": 1}
TWO, THREE = {"a": "A", "b": "B"}, {"domains": ["A", "B", "C"]}


@pytest.mark.parametrize(
    ("name", "size", "arguments", "said"),
    [
        ("munit", 16, TWO, "the network content_encoders.A (ContentEncoder) expects "
         "1 channels where 3 come; it got 3 x 16 x 16 (channels x height x width): give "
         "--model.init_args.content_encoder.init_args.channels 3 "
         "--model.init_args.style_encoder.init_args.channels 3 "
         "--model.init_args.decoder.init_args.channels 3 "
         "--model.init_args.discriminator.init_args.channels 3, or else"),
        ("drit", 16, TWO, "give --model.init_args.content_encoder.init_args.channels"),
        ("sdit", 16, THREE, "the network generator (SDITGenerator) expects"),
        ("cyclegan", 16, TWO | {"coding_a": {}, "coding_b": {}}, "where 3 come"),
        ("sdit", 32, THREE, "the network discriminator is for images of 16x16 "
         "px, but Unpaired gives 32x32 px: give --data.init_args.image_size 16, or networks for "
         "these, --model.init_args.discriminator.init_args.image_size 32."),
    ],
)  # fmt: skip
def test_a_translator_of_another_shape(workdir, capsys, name, size, arguments, said):
    config = translation(workdir, name, image_size=size)
    settings = yaml.safe_load(config.read_text())
    settings["model"]["init_args"] |= arguments
    config.write_text(yaml.safe_dump(settings))
    assert said in refused(capsys, *fit(config))


def test_a_size_that_networks_do_not_halve(workdir, capsys):
    config = translation(workdir, "munit", image_size=9, modalities={"A": GREY, "B": GREY})
    settings = yaml.safe_load(config.read_text())
    settings["model"]["init_args"] |= TWO
    config.write_text(yaml.safe_dump(settings))
    assert "--data.init_args.image_size 8" in refused(capsys, *fit(config))


# Tables.


def test_a_table_in_latin_1(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_bytes("file,name\na.png,Zoë\nb.png,André\n".encode("latin-1"))
    assert [row["name"] for row in read_csv(path)] == ["Zoë", "André"]
    path.write_bytes("file,name\na.png,Zoë\n".encode())
    assert read_csv(path)[0]["name"] == "Zoë"


def test_a_table_with_a_quote_left_open(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text('file,name\na.png,"' + "x" * 200_000)
    with pytest.raises(DataError, match=r"labels.csv is no table \(field larger"):
        read_csv(path)
