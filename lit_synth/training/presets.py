"""Settings of a StyleGAN2 for a size and a number of images, computed as published code does."""

from dataclasses import dataclass

import yaml

from lit_synth.errors import InputError
from lit_synth.losses.games import r1_gamma

HALF_LIFE_KIMG = 10 / 32  # of the averaged weights, for each image of a batch
MOST_AT_A_TIME, PIXELS_AT_A_TIME = 32, 4096  # a batch has 4096 / size images, at most 32
SMALLEST_BATCH = 4  # a group of the minibatch deviation
LARGE = 1024  # pixels from which the learning rate is smaller
FREEZE_BELOW = 1000  # images below which FreezeD is worth a try


@dataclass(frozen=True)
class Preset:
    """What `lit-synth presets` shows.

    Attributes:
        batch_size: Images in a batch.
        gamma: Weight of R1.
        lr: Adam's learning rate of both networks.
        half_life_kimg: Thousands of images after which an averaged weight counts half.
        rampup: Bound of the half-life at the start, as a share of the images seen; None: no bound.
        ada_kimg: Thousands of images over which ADA's p would rise from 0 to 1.
        epoch: Iterations in which every image is seen once.
    """

    batch_size: int
    gamma: float
    lr: float
    half_life_kimg: float
    rampup: float | None
    ada_kimg: float
    epoch: int


def preset(image_size: int, images: int, source: bool, batch_size: int | None = None) -> Preset:
    """Compute settings as the `auto` preset of https://github.com/NVlabs/stylegan2-ada-pytorch.

    For one device. That code's batch does not heed the number of images; here it is at most the
    largest power of 2 of them.

    Args:
        image_size: Height and width of the images.
        images: How many training images there are.
        source: Do the networks start from a source?
        batch_size: Images in a batch, where it is given.
    """
    for name, number in (("image_size", image_size), ("images", images)):
        if number < 1:
            raise InputError(f"--{name} is {number}: expected at least 1.")
    if batch_size is None:
        most = max(min(PIXELS_AT_A_TIME // image_size, MOST_AT_A_TIME), SMALLEST_BATCH)
        batch_size = min(most, 2 ** (images.bit_length() - 1))
    elif batch_size < 1:
        raise InputError(f"--batch_size is {batch_size}: expected at least 1.")
    return Preset(
        batch_size=batch_size,
        gamma=r1_gamma(image_size, batch_size),
        lr=2e-3 if image_size >= LARGE else 2.5e-3,
        half_life_kimg=HALF_LIFE_KIMG * batch_size,
        rampup=None if source else 0.05,
        ada_kimg=100.0 if source else 500.0,
        epoch=-(-images // batch_size),
    )


def as_yaml(found: Preset, images: int, source: bool) -> str:
    """Return a preset as YAML that goes into the configuration of a run."""
    game = {"class_path": "Logistic", "init_args": {"gamma": float(f"{found.gamma:.4g}")}}
    init_args = {
        "game": game,
        "augment": {"class_path": "ADA", "init_args": {"kimg": found.ada_kimg}},
        "n_critic": 1,
        "lr": found.lr,
        "betas": [0.0, 0.99],
    }
    if source and images < FREEZE_BELOW:
        init_args["freeze_d"] = 2
    average = {"half_life_kimg": found.half_life_kimg, "rampup": found.rampup}
    callbacks = [{"class_path": "EMA", "init_args": average}, {"class_path": "Overfitting"}]
    settings = {
        "model": {"init_args": init_args},
        "data": {"init_args": {"batch_size": found.batch_size}},
        "trainer": {"callbacks": callbacks},
    }
    return yaml.safe_dump(settings, sort_keys=False)
