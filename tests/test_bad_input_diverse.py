"""What diverse translation is given wrong, as commands: one sentence, and nothing saved is lost."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import tiny
import tiny_domains
import yaml
from PIL import Image
from scene_trees import write_image

from lit_synth.cli import main
from lit_synth.networks.extractor import ConvBackbone, ExtractorHead
from lit_synth.releases.format import load_release, save_release
from lit_synth.tensors.hashing import image_digests

DOMAINS = ["dark", "grey", "bright"]
WORLD = {"class_path": "tiny_world.TinyWorld"}
LABELS = ["colour", "texture"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The runs folder with a finished run of SDIT on three domains, and its translations."""
    folder = tmp_path_factory.mktemp("trained")
    write_config(folder, "sdit")
    run = ["--config", f"{folder}/sdit.yaml", "--runs_dir", f"{folder}/runs"]
    assert main(["fit", *run]) == 0
    asked = ["--source", "dark", "--target", "grey", "--n_images", "2"]
    assert main(["predict", *run, *asked]) == 0
    return folder / "runs"


@pytest.fixture(autouse=True)
def _home(trained, workdir, monkeypatch):
    """The current directory, with the finished run and tiny releases."""
    monkeypatch.setenv("LIT_SYNTH_CACHE", str(workdir / "cache"))
    shutil.copytree(trained, "runs")


def write_config(folder, name, data=None, changes=(), **model):
    """Copy a file of tests/conf/translation with other model arguments and data."""
    settings = yaml.safe_load((tiny.CONF / f"translation/{name}.yaml").read_text())
    settings |= {"samples": {"every_n_iterations": None}, **dict(changes)}
    settings["evaluate"]["every_n_iterations"] = None
    settings["model"]["init_args"] |= model
    settings["data"] = data or settings["data"]
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(settings))


def digests():
    files = [path for path in Path("runs/sdit/seed0").rglob("*") if path.is_file()]
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def refused(capsys, verb, name, *options, lines=1):
    """Run a command that must fail with one sentence, and return what it says.

    Args:
        capsys: Of the test.
        verb: Of the command.
        name: Of the configuration.
        options: Further ones.
        lines: Of the sentence: more than one where it lists files.
    """
    before = digests()
    capsys.readouterr()
    code = main([verb, "--config", f"{name}.yaml", *map(str, options)])
    err = capsys.readouterr().err
    assert code == 2
    assert "Traceback" not in err
    sentences = [line for line in err.splitlines() if line.startswith("lit-synth: ")]
    assert len(sentences) == 1
    last = err.rstrip().splitlines()[-lines:]
    assert last[0] == sentences[0]
    assert digests().items() >= before.items()
    return " ".join(last).removeprefix("lit-synth: ")


# Domains.


def unpaired(counts):
    """Write {folder: number of images} and return a data module that reads them."""
    for seed, (folder, n) in enumerate(counts.items()):
        for i in range(n):
            write_image(Path("images") / folder / f"{i}.png", 100 * seed + i)
    grey = {"channels": 1}
    settings = {"root": "images", "image_size": 16, "modalities": {"A": grey, "B": grey}}
    return {"class_path": "Unpaired", "init_args": settings}


def test_a_domain_folder_with_one_image(workdir, capsys):
    data = unpaired({"trainA": 1, "trainB": 3})
    write_config(workdir, "munit", data, a="A", b="B")
    said = refused(capsys, "fit", "munit")
    assert "images/trainA has one training image of the domain A" in said
    assert "takes 2 or more" in said


def test_one_held_out_image_is_enough(workdir):
    data = unpaired({"trainA": 2, "trainB": 3, "valA": 1, "valB": 2, "testA": 1, "testB": 1})
    write_config(workdir, "munit", data, a="A", b="B")
    assert main(["fit", "--config", "munit.yaml"]) == 0


def test_constant_images_in_a_folder(workdir, capsys):
    data = unpaired({"trainA": 3, "trainB": 3})
    Image.new("RGB", (12, 12), (9, 9, 9)).save("images/trainB/1.png")
    write_config(workdir, "munit", data, a="A", b="B")
    said = refused(capsys, "fit", "munit", lines=2)
    assert "1 training images have one colour in all pixels" in said
    assert said.endswith("trainB/1.png")


def test_portions_with_one_image(workdir, capsys):
    domains = {name: [{"images": n, "colour": name}] for name, n in (("black", 1), ("red", 8))}
    settings = {"source": WORLD, "wanted": "colour", "unwanted": ["texture"], "domains": domains}
    data = {"class_path": "Biased", "init_args": settings}
    write_config(workdir, "munit", data, a="black", b="red")
    said = refused(capsys, "fit", "munit")
    assert "black have 1 images in all; a domain takes 2 or more" in said


# Attribute files.


def attributes(source, **settings):
    settings = {"source": source, "attributes": LABELS, **settings}
    return {"class_path": "Attributes", "init_args": settings}


def networks_of(name, channels=1, n_labels=2):
    """Return the networks of a configuration, for other images and labels."""
    settings = yaml.safe_load((tiny.CONF / f"translation/{name}.yaml").read_text())
    model = settings["model"]["init_args"]
    networks = {k: v for k, v in model.items() if isinstance(v, dict) and "class_path" in v}
    for each in networks.values():
        changed = {"channels": channels, "n_labels": n_labels}
        each["init_args"] |= {k: v for k, v in changed.items() if k in each["init_args"]}
    if name == "icgan":
        networks["encoder_y"]["init_args"]["out_dim"] = n_labels
    return networks


def of_attributes(name, domains=LABELS, exclusive=False):
    """Return the arguments of a method for two attributes of RGB images."""
    return {"domains": domains, "exclusive": exclusive, **networks_of(name, channels=3)}


def test_a_celeba_list_that_misses_images(workdir, capsys):
    files = [f"{i:06d}.jpg" for i in range(1, 7)]
    for seed, file in enumerate(files):
        write_image(Path("celeba/img_align_celeba") / file, seed, (178, 218))
    rows = [f"{file} {'-1 1' if i % 2 else '1 -1'}" for i, file in enumerate(files[:4])]
    Path("celeba/list_attr_celeba.txt").write_text("\n".join(["4", " ".join(LABELS), *rows]))
    parts = "\n".join(f"{file} 0" for file in files)
    Path("celeba/list_eval_partition.txt").write_text(parts)
    source = {"class_path": "CelebA", "init_args": {"root": "celeba", "image_size": 16}}
    write_config(workdir, "sdit", attributes(source), **of_attributes("sdit"))
    said = refused(capsys, "fit", "sdit", "--run_id", "new")
    assert "list_attr_celeba.txt lacks 2 of the images in celeba/img_align_celeba" in said
    assert "000005.jpg, 000006.jpg; add rows for them or remove the files" in said


def test_a_table_that_misses_images(workdir, capsys):
    for i in range(6):
        write_image(Path("table") / f"{i}.png", i)
    rows = [f"{i}.png,{i % 2},{i // 2 % 2}" for i in range(5)]
    Path("table/labels.csv").write_text("\n".join(["file,colour,texture", *rows]))
    source = {"class_path": "AttributeTable", "init_args": {"root": "table", "image_size": 16}}
    write_config(workdir, "sdit", attributes(source), **of_attributes("sdit"))
    said = refused(capsys, "fit", "sdit", "--run_id", "new")
    assert "labels.csv lacks 1 of the images in table: 5.png; add rows" in said


# Labels.


@pytest.mark.parametrize(
    ("verb", "domains"),
    [
        ("validate", ["grey", "dark", "bright"]),
        ("test", ["grey", "dark", "bright"]),
        ("predict", ["grey", "dark", "bright"]),
        ("predict", ["dark", "bright"]),
    ],
)
def test_other_labels_than_the_checkpoint_was_trained_with(workdir, capsys, verb, domains):
    networks = networks_of("sdit", n_labels=len(domains))
    write_config(workdir, "sdit", domains=domains, **networks)
    said = refused(capsys, verb, "sdit")
    assert "trained with the domains dark, grey, bright" in said
    assert f"the method has {', '.join(domains)}: give the same, in the same order" in said


def test_other_labels_than_the_run_began_with(workdir, capsys):
    write_config(workdir, "sdit", domains=["grey", "dark", "bright"])
    said = refused(capsys, "fit", "sdit")
    assert "holds a run with model.init_args.domains.0 = dark, but now it is grey" in said
    assert "--run_id NEW" in said


@pytest.mark.parametrize(
    ("verb", "name"), [("fit", "sdit"), ("fit", "stargan"), ("fit", "icgan"), ("predict", "sdit")]
)
def test_attributes_in_another_order_than_the_data_has_them(workdir, capsys, verb, name):
    data = attributes(WORLD, images=20, n_val=4, n_test=4)
    write_config(workdir, name, data, **of_attributes(name, LABELS[::-1]))
    said = refused(capsys, verb, name, "--run_id", "new")
    assert "the method has the attributes texture, colour, but the data colour, texture" in said
    assert "in the same order" in said


def test_attributes_for_a_method_of_domains(workdir, capsys):
    data = attributes(WORLD, images=20, n_val=4, n_test=4)
    write_config(workdir, "sdit", data, **of_attributes("sdit", exclusive=True))
    assert "exclusive: false" in refused(capsys, "fit", "sdit", "--run_id", "new")


def test_domains_for_a_method_of_attributes(workdir, capsys):
    write_config(workdir, "sdit", exclusive=False)
    assert "exclusive: true" in refused(capsys, "fit", "sdit", "--run_id", "new")


def test_domains_that_the_data_lacks(workdir, capsys):
    write_config(workdir, "sdit", domains=["dark", "gray", "bright"])
    said = refused(capsys, "fit", "sdit", "--run_id", "new")
    assert "the method has the domains dark, gray, bright, but the data dark, grey, bright" in said
    write_config(workdir, "munit", a="dark", b="gray")
    said = refused(capsys, "predict", "munit")
    assert "the method translates between dark, gray, but the data has dark, grey" in said


# Styles.


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("sdit", ["--reference", "one.png"], "which SDIT cannot read: draw styles with --styles"),
        ("stargan", ["--reference", "one.png"], "StarGAN makes one: leave it out"),
        ("stargan", ["--styles", 3], "StarGAN makes one: leave it out"),
        ("munit", ["--reference", "note.png"], "note.png is not an image; replace or remove it"),
        ("munit", ["--reference", "nowhere.png"], "nowhere.png cannot be read"),
    ],
)
def test_styles_that_the_method_does_not_have(workdir, capsys, name, options, sentence):
    write_image(Path("one.png"))
    Path("note.png").write_text("not an image")
    write_config(workdir, name)
    assert sentence in refused(capsys, "predict", name, *options)


# Extractors.


def extractor(folder, size=16, channels=1, seen=()):
    """Write a random extractor of the level, trained on images with these digests."""
    depth = [8, size // 2, size // 2]
    networks = {"backbone": ConvBackbone(channels, [4, 8]), "head": ExtractorHead(depth, 2, 3)}
    facts = load_release("sources/extractor").extra
    facts = facts | {"trained_on": {"count": len(seen), "images": list(seen)}}
    save_release(folder, networks, "# extractor\n", json.loads(json.dumps(facts)))


@pytest.mark.parametrize("first", [0, 10_000, 20_000], ids=["train", "val", "test"])
def test_an_extractor_trained_on_images_that_it_judges(workdir, capsys, first):
    scenes = tiny_domains.domain("bright", 8, first)
    extractor("knowing", seen=image_digests(scenes.fetch(range(8))["bright"])[:3])
    write_config(workdir, "udit", extractor="knowing")
    said = refused(capsys, "fit", "udit")
    assert "was trained on images of the domain 'bright'" in said
    assert "train one on other images" in said


def test_an_extractor_that_has_come_to_know_what_it_judges(workdir, capsys):
    shutil.copytree(Path("sources/extractor").resolve(), "h")
    write_config(workdir, "udit", extractor="h")
    assert main(["fit", "--config", "udit.yaml"]) == 0
    for verb, first in (("validate", 10_000), ("test", 20_000)):
        scenes = tiny_domains.domain("dark", 8, first)
        extractor("h", seen=image_digests(scenes.fetch(range(8))["dark"])[:3])
        said = refused(capsys, verb, "udit")
        assert "was trained on images of the domain 'dark'" in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"size": 32}, "maps images of 16x16 px to (8, 8, 8), but those that it was trained on to"),
        ({"channels": 3}, "trained on images of 3 channels and got 1"),
    ],
)
def test_an_extractor_of_other_images(workdir, capsys, arguments, sentence):
    extractor("other", **arguments)
    write_config(workdir, "udit", extractor="other")
    said = refused(capsys, "fit", "udit")
    assert sentence in said
    assert "train one on images like those to be translated" in said


@pytest.mark.parametrize(
    ("folder", "sentence"),
    [
        ("sources/classifier", "holds classifier, which is no semantic extractor: train one"),
        ("runs/sdit/seed0/release", "holds generator, discriminator, which is no semantic"),
        ("nowhere", "no release at 'nowhere': expected a folder with model.safetensors"),
    ],
)
def test_a_release_that_is_no_extractor(workdir, capsys, folder, sentence):
    write_config(workdir, "udit", extractor=folder)
    assert sentence in refused(capsys, "fit", "udit")


# Preparation.


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        ({"h": "nowhere.yaml"}, "prepare.h is 'nowhere.yaml', but there is no such file: give"),
        ({"g": "udit.yaml"}, "use $prepare.h, but prepare has g: name a configuration for it"),
    ],
)
def test_what_cannot_be_prepared(workdir, capsys, prepare, sentence):
    write_config(workdir, "udit", changes={"prepare": prepare}, extractor="$prepare.h")
    assert sentence in refused(capsys, "fit", "udit")
