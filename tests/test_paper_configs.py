"""Every launch line of configs/paper parses, and builds the run that it names, but narrow."""

import shlex
from pathlib import Path

import pytest
import yaml
from jsonargparse import ArgumentParser
from torch import nn

from lit_synth.checkpoints.release import save_release
from lit_synth.training_cli import SynthCLI

ROOT = Path(__file__).parent.parent
CONFIGS = sorted((ROOT / "configs/paper").glob("*.yaml"))
WIDTH = 2  # of the networks, which are 64 wide in the files


def launch_lines(path):
    """Commands in a file's header, without the program's name."""
    header = path.read_text().partition("\n\n")[0]
    text = header.replace("\\\n#", " ").replace("#", "")
    lines = (line.strip() for line in text.splitlines())
    return [shlex.split(line)[1:] for line in lines if line.startswith("lit-synth ")]


LAUNCHES = [(path.stem, launch) for path in CONFIGS for launch in launch_lines(path)]


class BuildOnly(SynthCLI):
    """Builds what a command would train."""

    @staticmethod
    def subcommands():
        return {"fit": SynthCLI.subcommands()["fit"]}  # the other parsers take a second to build

    def _run_subcommand(self, subcommand):
        pass


def networks(path):
    """The networks of a config, narrow."""
    settings = yaml.safe_load(path.read_text())["model"]["init_args"]
    parser = ArgumentParser()
    for name in ("generator", "critic"):
        parser.add_subclass_arguments(nn.Module, name)
        settings[name]["init_args"]["width"] = WIDTH
    return parser.instantiate(
        parser.parse_object({name: settings[name] for name in ("generator", "critic")})
    ).as_dict()


def write_sources(path):
    """Write, where a config expects them, the releases that others would have written."""
    arguments = yaml.safe_load(path.read_text())["model"]["init_args"]
    for source in [arguments.get("source"), *arguments.get("sources", [])]:
        if source is not None:
            runs, config, seed, release = Path(source).parts
            assert (runs, seed, release) == ("runs", "seed0", "release")
            trained_by = ROOT / "configs/paper" / f"{config}.yaml"
            save_release(Path(source), networks(trained_by), "Random weights.")


def test_all_configs_and_launch_lines_are_found():
    assert len(CONFIGS) == 14
    assert len(LAUNCHES) == 21
    assert {stem for stem, _ in LAUNCHES} == {path.stem for path in CONFIGS}


def test_launch_lines_name_their_own_file():
    for stem, (verb, option, config, *_) in LAUNCHES:
        assert (verb, option, config) == ("fit", "--config", f"configs/paper/{stem}.yaml")


@pytest.mark.parametrize(
    ("stem", "launch"), LAUNCHES, ids=[" ".join([stem, *launch[3:]]) for stem, launch in LAUNCHES]
)
def test_launch_line_builds_its_run(stem, launch, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    path = ROOT / "configs/paper" / f"{stem}.yaml"
    settings = yaml.safe_load(path.read_text())
    model = settings["model"]["init_args"]
    write_sources(path)
    given = [name for name in ("generator", "critic") if name in model]
    narrow = [f"--model.init_args.{name}.init_args.width={WIDTH}" for name in given]

    built = BuildOnly([*launch, *narrow, "--trainer.accelerator=cpu"])

    assert type(built.model).__name__ == settings["model"]["class_path"]
    assert built.model.total_iterations == sum(stage["iterations"] for stage in model["stages"])
    assert built.trainer.default_root_dir.startswith(f"runs/{stem}/")
    networks, _ = built.model.release()
    assert networks["critic"].image_size == built.datamodule.image_size
    assert networks["critic"].image_channels == built.datamodule.image_channels
