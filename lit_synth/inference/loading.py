"""The method of a finished run: to compare with, to look at, to use in a notebook."""

from argparse import ArgumentError
from pathlib import Path
from typing import Any

import torch
import yaml
from jsonargparse import ArgumentParser
from safetensors import SafetensorError
from safetensors.torch import load_file

import lit_synth.baselines
import lit_synth.methods
import lit_synth.networks  # noqa: F401  registers networks by class name, as the others methods
from lit_synth.errors import InputError
from lit_synth.method import Method
from lit_synth.releases.format import find_release
from lit_synth.runs import prepared
from lit_synth.runs.settings import CONFIG


def load_method(release: str | Path) -> Method:
    """Return the method of a finished run with its released networks.

    It is on the CPU, in eval mode, without gradients, and built from the `model` part of the run's
    config.yaml; what is not released, such as a frozen network that the method takes from another
    release, is built as that says: load runs of people whom you trust. The global random generators
    are afterwards as they were.

    Args:
        release: Folder `release` of a run.

    Raises:
        InputError: No release there, no settings beside it, or networks that do not fit them.
    """
    folder = find_release(release)
    method = _built(_settings(folder.resolve().parent, folder), folder)
    _take(method, folder)
    return method.eval().requires_grad_(False)


def _settings(run: Path, release: Path) -> dict[str, Any]:
    """Return the settings of a run, `$prepare` resolved."""
    path = run / CONFIG
    if not path.is_file():
        raise InputError(
            f"the release {release} is in no run folder: expected the run's settings in {path}."
        )
    settings = yaml.safe_load(path.read_text())
    needed = prepared.needed(settings, run.parents[1], settings["seed_everything"])
    for each in needed:
        prepared.require(each)
    return prepared.fill_in(settings, needed)


def _built(settings: dict[str, Any], release: Path) -> Method:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Method, "model")
    try:
        with torch.random.fork_rng(devices=[]):
            return parser.instantiate(parser.parse_object({"model": settings["model"]})).model
    except (ArgumentError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"the method of the release {release} cannot be built from its run's settings: {reason}"
        ) from error


def _take(method: Method, release: Path) -> None:
    """Give the method's networks the tensors of a release."""
    networks, _ = method.release()
    own = set(method.modules())
    try:
        tensors = load_file(release / "model.safetensors")
        for name, network in networks.items():
            if network not in own:
                raise InputError(
                    f"{type(method).__name__} releases '{name}' in another form than it trains it "
                    "in, so the method cannot be had back from a release."
                )
            prefix = f"{name}."
            state = {key: tensors.pop(key) for key in list(tensors) if key.startswith(prefix)}
            network.load_state_dict({k.removeprefix(prefix): v for k, v in state.items()})
    except (RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"the networks of the release {release} are not those of the run's settings: {reason}"
        ) from error
    if tensors:
        raise InputError(
            f"the release {release} has '{next(iter(tensors))}', which {type(method).__name__} "
            "does not have: its settings are not those that it was trained with."
        )
