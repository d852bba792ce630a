"""Values that no run can use, found in the settings by name: a name means the same everywhere."""

import re
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from lightning_fabric.utilities.exceptions import MisconfigurationException

from datamodules.errors import DataError
from lit_synth.errors import InputError
from lit_synth.runs.telling import warn

MOST_SEED = 2**32 - 1


class Rule(NamedTuple):
    """What values of some settings have to be.

    Attributes:
        names: Matches the whole name of a setting.
        holds: Tells whether a number is allowed.
        expected: Says which ones are.
    """

    names: re.Pattern[str]
    holds: Callable[[float], bool]
    expected: str


def _rule(names: str, holds: Callable[[float], bool], expected: str) -> Rule:
    return Rule(re.compile(names), holds, expected)


_RATE = re.compile("lr|lr_(?!scale).*")

# The first rule that matches holds; a list is checked value by value, and null is nothing.
RULES = (
    _rule("seed_everything|seed|.*_seed", lambda x: 0 <= x <= MOST_SEED, f"0 to {MOST_SEED}"),
    _rule(_RATE.pattern, lambda x: x >= 0, "a number above 0"),
    _rule("betas", lambda x: 0 <= x < 1, "numbers from 0 to below 1, such as 0.5,0.999"),
    _rule("dropout|momentum|.*_fraction", lambda x: 0 <= x <= 1, "a share from 0 to 1"),
    _rule("lambda_.*|weight_decay|tolerance", lambda x: x >= 0, "0 or more"),
    _rule("num_workers|n_val|n_test|freeze_d|random_sources", lambda x: x >= 0, "0 or more"),
    _rule(
        "n|n_critic|d_iter|window|n_images|n_fake|n_real|batch_size|"
        "image_size|load_size|size|crop|channels|.*_channels|width|widths|.*_dim|hidden|levels|"
        "kernel_size|scales|n_layers|n_labels|n_train|n_judging|images|images_per_set|steps|"
        "log_every_n_steps|num_nodes|repeats|.*_iterations|limit",
        lambda x: x >= 1,
        "1 or more",
    ),
)
# The stages alone say how long a run is, and how its steps are taken.
_OF_THE_STAGES = {
    "max_steps": (-1, None),
    "max_epochs": (-1, None),
    "min_steps": (None,),
    "min_epochs": (None,),
    "limit_train_batches": (None, 1.0),
    "overfit_batches": (0.0,),
    "accumulate_grad_batches": (1,),
    "gradient_clip_val": (None,),
}


def check_values(settings: Namespace) -> None:
    """Raise InputError for the first value of a verb's settings that no run can use."""
    if settings.get("run_id") == "":
        raise InputError("--run_id is '': expected a plain folder name, such as seed0.")
    for name, usual in _OF_THE_STAGES.items():
        if settings.trainer.get(name) not in usual:
            raise InputError(
                f"--trainer.{name} is {settings.trainer[name]}, but the method's stages say how "
                "long a run is and what a step is: leave it out, and for another length give "
                "--iterations N."
            )
    for path, value in _numbers(settings, ""):
        name = path.rpartition(".")[2]
        for rule in RULES:
            if rule.names.fullmatch(name):
                if not rule.holds(value):
                    raise InputError(f"--{path} is {value}: expected {rule.expected}.")
                break
        if value == 0 and _RATE.fullmatch(name):  # a study's control
            warn(f"--{path} is 0: what it is the learning rate of does not train.")


def _numbers(value: Any, path: str) -> Iterator[tuple[str, float]]:
    """Yield the dotted path and value of every number; all of a list have the list's path."""
    if isinstance(value, Namespace | Mapping):
        entries = value if isinstance(value, Mapping) else vars(value)
        for key, each in entries.items():
            yield from _numbers(each, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _numbers(each, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, value


@contextmanager
def explaining_machine() -> Iterator[None]:
    """Raise InputError where the trainer asks for what this machine or Lightning does not have."""
    try:
        yield
    except (InputError, DataError):
        raise
    except (MisconfigurationException, ValueError, ImportError, RuntimeError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise InputError(
            f"the trainer cannot be made as --trainer asks: {reason}; `lit-synth doctor` says what "
            "this machine has."
        ) from error
