"""Runs that another run needs: named in its `prepare`, trained before it, used by their releases.

In the settings, `$prepare.<name>` stands for the release folder of the run whose configuration
`prepare` gives this name. A run's config.yaml keeps it as it is: wherever the folder of all runs
lies, the releases are found beside the run.
"""

import os
import re
import runpy
import signal
import subprocess
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, TypeAlias

from lit_synth.errors import InputError
from lit_synth.runs.settings import CONFIG, changed_settings, check_same_settings, settings_of
from lit_synth.runs.stopping import handling

RELEASE = "release"
NAME = re.compile(r"\$prepare\.(\w+)")
POLL_S = 0.5  # between two looks at a run that another process trains

Settings: TypeAlias = Mapping[str, Any]


class Prepared(NamedTuple):
    """A run that another one uses.

    Attributes:
        name: What the other one calls it.
        config: Its configuration file.
        folder: Its run folder.
        seed: Its seed, which is that of the other one.
    """

    name: str
    config: Path
    folder: Path
    seed: int

    @property
    def release(self) -> Path:
        """Folder of the networks that the run ends with."""
        return self.folder / RELEASE

    def arguments(self) -> list[str]:
        """Return what trains it, without the program's name."""
        return [
            *("fit", "--config", str(self.config)),
            *("--runs_dir", str(self.folder.parents[1])),
            *("--seed_everything", str(self.seed)),
        ]


def find(
    prepare: Mapping[str, str], folder: Path | None, missing_ok: bool = False
) -> dict[str, str]:
    """Return the configuration files that `prepare` names as seen from the current folder.

    Args:
        prepare: Name -> file, relative to the current folder or else to `folder`.
        folder: Of the configuration that holds `prepare`; None if there is none.
        missing_ok: Leave a file that is not there as it is named?

    Raises:
        InputError: If there is no such file.
    """
    found = {}
    for name, given in prepare.items():
        places = [Path(given), *([folder / given] if folder else [])]
        path = next((each for each in places if each.is_file()), None)
        if path is None and not missing_ok:
            raise InputError(
                f"prepare.{name} is '{given}', but there is no such file: give the configuration "
                f"of a training run, relative to the current folder or to {folder or 'it'}."
            )
        found[name] = str(path or given)
    return found


def needed(settings: Settings, runs_dir: Path, seed: int) -> list[Prepared]:
    """Return the runs whose releases a run uses, in the order in which `prepare` names them.

    Args:
        settings: Of the run; what `prepare` names and nothing uses is left alone.
        runs_dir: Parent of all run folders.
        seed: Of the run.

    Raises:
        InputError: If something is used that `prepare` does not name.
    """
    from lit_synth.runs.folder import run_folder

    prepare: Mapping[str, str] = settings.get("prepare") or {}
    names = used(settings)
    for name in names:
        if name not in prepare:
            raise InputError(
                f"the settings use $prepare.{name}, but prepare has "
                f"{', '.join(prepare) or 'nothing'}: name a configuration for it there."
            )
    return [
        Prepared(name, Path(config), run_folder(runs_dir, Path(config).stem, f"seed{seed}"), seed)
        for name, config in prepare.items()
        if name in names
    ]


def used(settings: Settings) -> list[str]:
    """Return the names in `$prepare.<name>` that settings use, each once, in order."""
    text = repr({key: each for key, each in settings.items() if key != "prepare"})
    return list(dict.fromkeys(NAME.findall(text)))


def given_instead(file: Any, settings: Any, path: str = "model") -> dict[str, str]:
    """Return what is given where a configuration file names a release to prepare: path -> value.

    Args:
        file: Settings as the file has them.
        settings: The same ones as they are now.
        path: Dotted name of both.
    """
    if isinstance(file, str):
        own = NAME.search(file) and isinstance(settings, str) and not NAME.search(settings)
        return {path: settings} if own else {}
    pairs: list[tuple[Any, Any, Any]] = []
    if isinstance(file, Mapping) and isinstance(settings, Mapping | Namespace):
        now = settings if isinstance(settings, Mapping) else vars(settings)
        pairs = [(key, file[key], now[key]) for key in file if key in now]
    elif isinstance(file, list) and isinstance(settings, list):
        pairs = [(i, *pair) for i, pair in enumerate(zip(file, settings, strict=False))]
    found: dict[str, str] = {}
    for key, before, after in pairs:
        found |= given_instead(before, after, f"{path}.{key}")
    return found


def leave_out(value: Any) -> None:
    """Remove from settings, in place, every entry of a mapping that is a `$prepare.<name>`."""
    entries = vars(value) if isinstance(value, Namespace) else value
    if isinstance(entries, dict):
        for key, each in list(entries.items()):
            if isinstance(each, str) and NAME.search(each):
                del entries[key]
            else:
                leave_out(each)


def fill(value: Any, release_of: Callable[[str], Any]) -> Any:
    """Return settings with each `$prepare.<name>` replaced; namespaces are changed in place."""
    if isinstance(value, str):
        return NAME.sub(lambda found: str(release_of(found[1])), value)
    if isinstance(value, list | tuple):
        return type(value)(fill(each, release_of) for each in value)
    if isinstance(value, dict):
        return {key: fill(each, release_of) for key, each in value.items()}
    if isinstance(value, Namespace):
        for key, each in vars(value).items():
            setattr(value, key, fill(each, release_of))
    return value


def resolved(run: Path) -> dict[str, Any]:
    """Return the settings of a run in its folder, with the releases of what it was prepared with.

    Raises:
        InputError: If one is not there.
    """
    settings = settings_of(run)
    prepared = needed(settings, run.parents[1], settings["seed_everything"])
    for each in prepared:
        require(each)
    filled: dict[str, Any] = fill_in(settings, prepared)
    return filled


def fill_in(settings: Any, prepared: Sequence[Prepared]) -> Any:
    """Return settings with the releases of prepared runs."""
    releases = {each.name: each.release for each in prepared}
    return fill(settings, lambda name: releases[name]) if releases else settings


# Training them.


def trains_here() -> bool:
    """Tell whether this process may prepare: it is alone, or it starts the others itself."""
    return "LOCAL_RANK" not in os.environ and int(os.environ.get("SLURM_NTASKS", 1)) == 1


def require(run: Prepared) -> None:
    """Raise InputError unless the run has ended with a release."""
    if not (run.release / "model.safetensors").is_file():
        raise InputError(
            f"$prepare.{run.name} is not trained yet, there is no {run.release}: run `lit-synth "
            f"{' '.join(run.arguments())}` first."
        )


def train(run: Prepared, settings: Settings, options: Sequence[str] = ()) -> None:
    """Train a run, or go on with it, in a process of its own, unless it is finished.

    Args:
        run: Which.
        settings: All settings that its configuration leads to.
        options: Further arguments of the command line.

    Raises:
        InputError: Its folder holds a run with other settings.
        SystemExit: It has failed, or was stopped; with its exit code.
    """
    from lit_synth.runs.folder import in_use
    from lit_synth.runs.resume import checkpoint_folder

    try:
        check_same_settings(run.folder, dict(settings))
    except InputError as error:
        raise InputError(f"prepare.{run.name}: {error}") from error
    if in_use(run.folder):
        _say(run, f"another process is training it in {run.folder}: waiting for that one.")
        while in_use(run.folder):
            time.sleep(POLL_S)
    if finished(run, settings):
        _say(run, f"{run.release} is there.")
        return
    begun = "going on with" if checkpoint_folder(run.folder).is_dir() else "training"
    _say(run, f"this run uses its release, so first {begun} {run.config} in {run.folder}.")
    start = time.monotonic()
    code = _command([*run.arguments(), *options])
    seconds = time.monotonic() - start
    if code:
        _say(run, f"stopped after {seconds:.0f} s with exit code {code}.")
        raise SystemExit(code)
    require(run)
    _say(run, f"done in {seconds:.0f} s.")


def finished(run: Prepared, settings: Settings) -> bool:
    """Tell whether a run with just these settings has ended with a release."""
    written, started = run.release / "model.safetensors", run.folder / CONFIG
    if not written.is_file() or not started.is_file():
        return False
    # A start writes the settings: a release older than these is of a run that has since gone on.
    in_order = written.stat().st_mtime_ns >= started.stat().st_mtime_ns
    return in_order and not changed_settings(run.folder, dict(settings))


def _say(run: Prepared, words: str) -> None:
    print(f"lit-synth: prepare.{run.name}: {words}", flush=True)


def _command(arguments: Sequence[str]) -> int:
    """Run the command line in a process of its own that gets our signals; return its exit code.

    However this process ends, that one saves itself and ends too.

    Returns:
        128 + n where signal n has ended it, or came too late for it.
    """
    child: subprocess.Popen[bytes] | None = None
    came: list[int] = []

    def pass_on(signum: int, _: FrameType | None) -> None:
        came.append(signum)
        if child is not None:
            child.send_signal(signum)

    watched, held = os.pipe()  # the end held here closes with this process, even a killed one
    with handling(pass_on):  # the run that is being prepared saves itself
        # In a session of its own: Ctrl+C in a terminal would reach it twice, which is once too
        # often for it to save itself.
        child = subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(watched), *arguments],
            start_new_session=True,
            pass_fds=[watched],
        )
        code = child.wait()
    os.close(watched)
    os.close(held)
    if code < 0:
        return 128 - code
    return code or (128 + came[-1] if came else 0)


_CHILD = f"from {__name__} import run_as_child; run_as_child()"


def run_as_child() -> None:
    """Run the command line `sys.argv[2:]`, saving and stopping when the pipe `sys.argv[1]` ends."""
    pipe = int(sys.argv.pop(1))

    def stop_with_parent() -> None:
        os.read(pipe, 1)  # returns when the parent is gone: it writes nothing
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop_with_parent, daemon=True).start()
    runpy.run_module("lit_synth.cli", run_name="__main__", alter_sys=True)
