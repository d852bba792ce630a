"""What a YAML file says reaches the data modules."""

import pytest
import pytorch_lightning as pl
import yaml
from jsonargparse import ArgumentParser

import datamodules
from datamodules.labelled.source import LabelledSource

CONFIGS = {
    "Digits": {"counts": {2: 5, 7: 9}, "augment": [{"class_path": "HorizontalFlip"}]},
    "Unconditional": {"root": "photos", "image_size": 32, "in_memory": True, "labels": "folders"},
    "Vehicles": {"counts": {"car": 3, "bus": 5}, "colour": "red"},
    "Disjoint": {
        "root": "scenes",
        "modalities": {"rgb": {}, "seg": {"kind": "labels", "channels": 4}},
        "sets": {"rs": ["rgb", "seg"]},
        "image_size": 32,
    },
    "Paired": {"root": "pairs", "image_size": 32},
    "Unpaired": {"root": "domains", "image_size": 32, "domains": {"a": "A", "b": "B"}},
    "SceneNet": {"root": "scenenet", "sets": {"rs": ["rgb", "segmentation"]}},
    "SunRGBD": {"root": "sun", "sets": {"rd": ["rgb", "depth"]}, "image_size": 32},
    "FreiburgForest": {"root": "forest", "sets": {"rs": ["rgb", "segmentation"]}},
    "Rooms": {"sets": {"rdn": ["rgb", "depth", "nir"]}, "scenes_per_set": 8},
    "Opponents": {"image_size": 32, "images_per_set": 8},
    "Creatures": {"kinds": ["dog", "cat"], "images_per_set": 8},
    "Flowers": {"image_size": 32, "train_images": 8},
    "Objects": {"colours": ["red", "blue"], "images_per_set": 8},
    "Biased": {
        "source": {"class_path": "Bags"},
        "wanted": "colour",
        "unwanted": ["texture"],
        "domains": {
            "black": [{"images": 4, "colour": "black"}],
            "red": [{"images": 4, "colour": "red"}],
        },
    },
    "LabelledImages": {
        "source": {"class_path": "Bags"},
        "attribute": "texture",
        "n_train": 8,
    },
    "Attributes": {
        "source": {"class_path": "Portraits"},
        "attributes": ["hat", "hair=blond"],
        "images": 8,
    },
    "Segmented": {
        "source": {"class_path": "Portraits", "init_args": {"parts": True}},
        "images": 8,
    },
    "ObjectColours": {"colours": ["red", "blue"], "train_images": 8},
    "BagEdges": {"image_size": 32, "pairs": 4},
    "Eyes": {"size": [40, 32], "persons": 4, "images_per_person": 2},
    "Persons": {
        "root": "people",
        "image_size": [40, 32],
        "mask": {"channels": 4, "class_names": ["skin", "sclera", "iris", "pupil"]},
    },
    "OpenEDS": {"root": "openeds", "image_size": [80, 64], "leave_out": ["U111"]},
    "OpenEDSFile": {"file": "openeds.h5", "size": [80, 64]},
}


@pytest.mark.parametrize("name", CONFIGS)
def test_bare_names_and_arguments_resolve(name, tmp_path):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_subclass_arguments(pl.LightningDataModule, "data")
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump({"data": {"class_path": name, "init_args": CONFIGS[name]}}))
    data = parser.instantiate(parser.parse_args(["--config", str(file)])).data
    assert isinstance(data, getattr(datamodules, name))


def test_every_data_module_has_a_configuration_here():
    exported = {name: getattr(datamodules, name) for name in datamodules.__all__}
    modules = {n for n, each in exported.items() if issubclass(each, pl.LightningDataModule)}
    assert modules == set(CONFIGS)
    sources = {n for n, each in exported.items() if issubclass(each, LabelledSource)}
    assert exported.keys() == modules | sources | {"DataError"}
