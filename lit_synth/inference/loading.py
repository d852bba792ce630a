"""The method of a finished run: to compare with, to look at, to use in a notebook."""

import importlib.util
import re
from argparse import ArgumentError
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentParser
from torch import Tensor

import lit_synth.baselines
import lit_synth.methods
import lit_synth.networks  # noqa: F401  registers networks by class name, as the others methods
from lit_synth.errors import InputError
from lit_synth.method import Method
from lit_synth.releases.format import NETWORKS, SELF, TRUST, find_release, read_release, trusted
from lit_synth.runs import prepared
from lit_synth.runs.settings import CONFIG

PACKAGES = (
    "lit_synth.methods",
    "lit_synth.baselines",
    NETWORKS,
    "lit_synth.features",
    "lit_synth.augment",
    "lit_synth.losses",
)

CLASS_PATH = re.compile(r"[^\W\d]\w*(\.\w+)+")


def load_method(release: str | Path) -> Method:
    """Return the method that a release was made of, with its networks.

    It is on the CPU, in eval mode, without gradients. The release's folder is all that it takes.
    Only classes of this package are built, and of those that the environment variable
    LIT_SYNTH_TRUST lists. A release that does not say what method it is of, or one of a class that
    is not trusted, is built as the config.yaml of the run folder around it says: load runs of
    people whom you trust. The global random generators are afterwards as they were.

    Args:
        release: Folder of a release.

    Raises:
        InputError: No release there, no settings in it or beside it, or networks that do not fit.
    """
    folder = find_release(release)
    config, tensors = read_release(folder)
    own, run = config.get("method"), folder.resolve().parent
    if own is not None and (_foreign(own) is None or not (run / CONFIG).is_file()):
        method = _built(_with_folder(own, folder.resolve()), folder, check=True)
    elif (run / CONFIG).is_file():
        method = _built(prepared.resolved(run)["model"], folder)
    else:
        raise InputError(
            f"the release {folder} does not say what method it is of, and is in no run folder: "
            f"expected the run's settings in {run / CONFIG}."
        )
    _restore(method, tensors, config.get("extra", {}), folder)
    return method.eval().requires_grad_(False)


def _foreign(settings: Any) -> str | None:
    """Return the first class in settings that a release may not name, if there is one."""
    return next((each for each in _class_paths(settings) if not trusted(each, *PACKAGES)), None)


def _refuse_foreign(settings: Any, release: Path) -> None:
    if class_path := _foreign(settings):
        raise InputError(
            f"{release}/config.yaml asks for the class {class_path}, but only classes of "
            f"{', '.join(PACKAGES)} are built from a release: if you trust its package, list it in "
            f"the environment variable {TRUST}."
        )


def _class_paths(value: Any) -> Iterator[str]:
    """Yield what settings may have imported: class paths, and words that could be some."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key == "class_path":
                yield str(each)
            else:
                yield from _class_paths(each)
    elif isinstance(value, list):
        for each in value:
            yield from _class_paths(each)
    elif isinstance(value, str) and CLASS_PATH.fullmatch(value):
        yield from [value] if importlib.util.find_spec(value.partition(".")[0]) else []


def _with_folder(value: Any, folder: Path) -> Any:
    """Return settings with the release's folder where they name the release itself."""
    if isinstance(value, dict):
        return {key: _with_folder(each, folder) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_folder(each, folder) for each in value]
    return str(folder) if value == SELF else value


def _built(settings: dict[str, Any], release: Path, check: bool = False) -> Method:
    """Build a method; where a release's own settings are to be checked, nothing is built unseen."""
    if check:
        _refuse_foreign(settings, release)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Method, "model")
    with _told_of(release):
        parsed = parser.parse_object({"model": settings})
    if check:  # a bare word may have become a class
        _refuse_foreign(parsed.as_dict(), release)
    with _told_of(release), torch.random.fork_rng(devices=[]):
        return parser.instantiate(parsed).model


@contextmanager
def _told_of(release: Path) -> Iterator[None]:
    """Say of which release the settings are that do not fit."""
    try:
        yield
    except (ArgumentError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"the method of the release {release} cannot be built from its settings: {reason}"
        ) from error


def _restore(
    method: Method, tensors: dict[str, Tensor], extra: dict[str, Any], release: Path
) -> None:
    try:
        method.restore(tensors, extra)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"the networks of the release {release} are not those of its settings: {reason}"
        ) from error
