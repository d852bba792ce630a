"""The settings that decide the results of a run, and with which it may not go on changed."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lit_synth.errors import InputError
from lit_synth.runs.yaml_files import read_mapping

CONFIG = "config.yaml"

# Settings that may change between the starts of one run: duration, and what alters no result.
_MAY_CHANGE = re.compile(r"model\.init_args\.stages\.\d+\.iterations|data\.init_args\.num_workers")


def check_same_settings(folder: Path, config: dict[str, Any]) -> None:
    """Raise InputError if the run in `folder` has settings with which it may not go on."""
    from lit_synth.runs.resume import checkpoints_of  # with torch, which listing studies needs not

    if checkpoints_of(folder) and not (folder / CONFIG).exists():
        raise InputError(
            f"{folder} holds checkpoints but no {CONFIG}, which says what they are of: put it "
            "back, or use --run_id NEW for a new run beside it, or --ckpt_path fresh to start "
            "again."
        )
    for name, (before, now) in changed_settings(folder, config).items():
        if not _MAY_CHANGE.fullmatch(name):
            raise InputError(
                f"{folder} holds a run with {name} = {before}, but now it is {now}: use "
                "--run_id NEW for a new run beside it, or --ckpt_path fresh to start again."
            )


def changed_settings(folder: Path, config: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the settings that decide a run's results and differ: name -> before and now.

    A setting that the run had no word for, as it is of an older version, differs where it is on.
    """
    if not (folder / CONFIG).exists():
        return {}
    before, now = _settings(settings_of(folder)), _settings(config)
    return {
        name: (before.get(name), now.get(name))
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name) and not _is_new_and_off(name, before, now)
    }


def _is_new_and_off(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    is_member = name.rpartition(".")[2].isdigit()  # of a list, which is longer now
    return name not in before and not is_member and not now[name]


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    """Return what decides the results of a run, flattened to dotted names."""
    keys = ("model", "data", "ranking", "seed_everything", "prepare")
    chosen = {key: config.get(key) for key in keys}
    return flattened(chosen)


def flattened(config: dict[str, Any]) -> dict[str, Any]:
    """Return nested settings by their dotted names, as the command line has them."""
    return dict(_flatten(json.loads(json.dumps(config, default=str)), ""))


def _flatten(value: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict | list) and value:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, child in items:
            yield from _flatten(child, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value


def settings_of(folder: Path) -> dict[str, Any]:
    """Return the settings of the run in `folder`, which its last start wrote."""
    try:
        return read_mapping(folder / CONFIG, "the settings of the run,")
    except InputError as error:
        raise InputError(
            f"{error} Put the file back, or use --run_id NEW for a new run, or --ckpt_path fresh."
        ) from error
