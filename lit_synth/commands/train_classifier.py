"""`lit-synth train-classifier`: a reference classifier of real images, as a release folder."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from lit_synth.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from datamodules.base.image_data import ImageDataModule
    from lit_synth.features.classifier import Recipe

    Labelled = tuple[Tensor, Tensor]  # images (N, C, H, W) and their classes (N,)

OBJECTS = (3960, 660)  # to train and to test on, each a multiple of the 66 classes
OBJECTS_SEED = 41


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb `train-classifier`."""
    parser = subparsers.add_parser(
        "train-classifier", help="train a classifier that judges images", description=__doc__
    )
    parser.add_argument(
        "--data",
        required=True,
        help="digits; objects, whose classes are pairs of colour and shape; or a folder with one "
        "sub-folder of images per class",
    )
    parser.add_argument("--out", required=True, type=Path, help="release folder to write")
    parser.add_argument("--image_size", type=int, default=16, help="side in pixels (default: 16)")
    parser.add_argument("--channels", type=int, choices=(1, 3), default=1, help="(default: 1)")
    parser.add_argument("--recipe", type=Path, help="YAML file of training settings")


def run(args: argparse.Namespace) -> int:
    """Train on the train split, report the accuracy on the test split."""
    from lit_synth.features.classifier import ReleaseClassifier, train_classifier

    recipe = read_recipe(args.recipe) if args.recipe else None
    if args.data == "objects":
        train, test = coloured_shapes(args.image_size, args.channels)
    else:
        data = _data(args.data, args.image_size, args.channels)
        train, test = labelled_images(data, "train"), labelled_images(data, "test")
    folder = train_classifier(*train, args.out, recipe, held_out=test)
    accuracy = ReleaseClassifier(folder).release.extra["held_out_accuracy"]
    print(
        f"{folder}: trained on {len(train[0])} images, reads {accuracy:.2%} of {len(test[0])} "
        "held-out ones right."
    )
    return 0


def labelled_images(
    data: "ImageDataModule", split: Literal["train", "val", "test"]
) -> "tuple[Tensor, Tensor]":
    """Return all images (N, C, H, W) of a split, without augmentation, and their classes (N,)."""
    images = data.split(split)
    batch = images.fetch(range(len(images)))
    if "label" not in batch:
        raise InputError(
            f"{type(data).__name__} has no classes; give images with labels, such as one folder "
            "per class."
        )
    return batch["image"], batch["label"]


def coloured_shapes(image_size: int, channels: int) -> "tuple[Labelled, Labelled]":
    """Return objects to train and to test on; a class is a pair of colour and shape.

    The objects are of a world of their own, so of no run's data.
    """
    from datamodules.worlds.objects.world import SHAPES, ObjectColours

    if channels != 3:
        raise InputError(f"objects have 3 channels, but --channels is {channels}; give 3.")
    n_train, n_test = OBJECTS
    world = ObjectColours(None, image_size, n_train, n_test, world_seed=OBJECTS_SEED)
    splits = [world.split(name) for name in ("train", "test")]
    train, test = (split.fetch(range(len(split))) for split in splits)
    return (
        (train["image"], train["label"] * len(SHAPES) + train["shape"]),
        (test["image"], test["label"] * len(SHAPES) + test["shape"]),
    )


def read_recipe(path: Path) -> "Recipe":
    """Read training settings from YAML; those left out keep their defaults."""
    from lit_synth.features.classifier import Architecture, Recipe
    from lit_synth.networks.classifier import SmallClassifier
    from lit_synth.runs.yaml_files import read_mapping

    settings = read_mapping(path, "the recipe")
    known = {name: type(default) for name, default in Recipe().facts().items()}
    defaults = cast("dict[str, object]", SmallClassifier().init_args)
    of_network = {name: type(defaults[name]) for name in Architecture.__annotations__}
    try:
        network = _typed(settings.pop("network", {}), of_network)
        return Recipe(**_typed(settings, known), network=cast("Architecture", network))
    except (AttributeError, KeyError, ValueError) as error:
        kinds = [*known.items(), *((f"network.{name}", kind) for name, kind in of_network.items())]
        expected = ", ".join(f"{name} ({kind.__name__})" for name, kind in kinds)
        raise InputError(
            f"The recipe {path} holds {settings}; expected some of {expected}."
        ) from error


def _typed(settings: dict[str, object], kinds: dict[str, type]) -> dict[str, Any]:
    # Through text, since YAML reads 1e-3 as text and int() would cut 2.5 to 2.
    return {name: kinds[name](str(value)) for name, value in settings.items()}


def _data(name: str, image_size: int, channels: int) -> "ImageDataModule":
    from datamodules.datasets.digits import Digits
    from datamodules.unconditional import Unconditional

    if name == "digits":
        return Digits(image_size, channels)
    return Unconditional(name, image_size, channels, labels="folders", on_mismatch="convert")
