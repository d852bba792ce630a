"""What a YAML file says reaches the data modules."""

import pytest
import yaml
from jsonargparse import ArgumentParser

import datamodules
from datamodules.base import ImageDataModule

CONFIGS = {
    "Digits": {"counts": {2: 5, 7: 9}, "augment": [{"class_path": "HorizontalFlip"}]},
    "Unconditional": {"root": "photos", "image_size": 32, "in_memory": True, "labels": "folders"},
    "Vehicles": {"counts": {"car": 3, "bus": 5}, "colour": "red"},
}


@pytest.mark.parametrize("name", CONFIGS)
def test_bare_names_and_arguments_resolve(name, tmp_path):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_subclass_arguments(ImageDataModule, "data")
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump({"data": {"class_path": name, "init_args": CONFIGS[name]}}))
    data = parser.instantiate(parser.parse_args(["--config", str(file)])).data
    assert isinstance(data, getattr(datamodules, name))


def test_every_data_module_has_a_configuration_here():
    assert {n for n in datamodules.__all__ if n != "DataError"} == set(CONFIGS)
