"""Jobs: the training runs of a plan, each named by a hash of all that decides its outcome."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lit_synth.errors import InputError
from lit_synth.runs import prepared
from lit_synth.runs.yaml_files import read_mapping
from lit_synth.studies.code_hash import code_hash
from lit_synth.studies.plan import Plan, Recipe
from lit_synth.studies.terms import fill


@dataclass(frozen=True)
class Job:
    """One training run.

    Attributes:
        label: For people.
        key: Hash of the configuration, of the prepared runs it uses, and of the code it runs.
        config: The complete configuration, without `runs_dir`.
        config_file: Where it is written for the run.
        runs_dir: Parent of all run folders of studies.
        needs: Keys of the jobs that must be done before.
    """

    label: str
    key: str
    config: dict[str, Any]
    config_file: Path
    runs_dir: Path
    needs: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """The run folder, as the training command line names it."""
        return self.runs_dir / self.config_file.stem / f"seed{self.config['seed_everything']}"

    @property
    def release(self) -> Path:
        """Folder of the networks that the run ends with."""
        return self.folder / prepared.RELEASE


class Jobs:
    """All jobs of a plan: those that prepare, and one for each arm and seed.

    What is prepared runs once, with seed 0, or with as many seeds as its recipe says. What two arms
    or two studies have in common has one key and runs once.

    Args:
        plan: The study.
        seeds: Of the arms.
        runs_dir: Parent of all run folders of studies.
        accelerator: Lightning's name of the device.
    """

    def __init__(self, plan: Plan, seeds: list[int], runs_dir: Path, accelerator: str) -> None:
        self.plan, self.runs_dir, self.accelerator = plan, runs_dir, accelerator
        self.by_key: dict[str, Job] = {}
        self.prepared: dict[str, dict[int, Job]] = {}  # what arms use, by name and seed
        self.arms: dict[str, dict[int, Job]] = {
            name: {seed: self._job(f"{name} seed {seed}", arm, seed) for seed in seeds}
            for name, arm in plan.arms.items()
        }

    @property
    def total(self) -> int:
        """Number of distinct jobs."""
        return len(self.by_key)

    def in_order(self) -> list[Job]:
        """Return preparations first, then arms seed by seed, so that early results are balanced."""
        seeds = zip(*(by_seed.values() for by_seed in self.arms.values()), strict=True)
        arms = dict.fromkeys(job.key for jobs in seeds for job in jobs)
        prepared = [key for key in self.by_key if key not in arms]
        return [self.by_key[key] for key in (*prepared, *arms)]

    def _job(self, label: str, recipe: Recipe, seed: int) -> Job:
        config = configuration(recipe, seed, self.accelerator)
        used = {name: self._prepared(name, seed) for name in prepared.used(config)}
        by_key = prepared.fill(config, lambda name: used[name].key) if used else config
        code = code_hash(frozenset(class_paths(config)))
        text = json.dumps([by_key, code], sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()[:12]
        stem = f"{recipe.config.stem if recipe.config else 'classifier'}-{key}"
        job = Job(
            label=label,
            key=key,
            config=prepared.fill(config, lambda name: used[name].release) if used else config,
            config_file=self.runs_dir / "configs" / f"{stem}.yaml",
            runs_dir=self.runs_dir,
            needs=tuple(job.key for job in used.values()),
        )
        return self.by_key.setdefault(key, job)

    def _prepared(self, name: str, seed: int) -> Job:
        if name not in self.plan.prepare:
            listed = ", ".join(self.plan.prepare) or "nothing"
            raise InputError(f"study {self.plan.id} uses $prepare.{name}, but prepares {listed}.")
        recipe = self.plan.prepare[name]
        seed = recipe.seed_for(seed)
        by_seed = self.prepared.setdefault(name, {})
        if seed not in by_seed:
            by_seed[seed] = self._job(f"prepare {name}", recipe, seed)
        return by_seed[seed]


def configuration(recipe: Recipe, seed: int, accelerator: str) -> dict[str, Any]:
    """Return a recipe's configuration with its settings and its seed."""
    if recipe.classifier:
        return {"classifier": recipe.classifier, "seed_everything": seed}
    if recipe.config is None or not recipe.config.is_file():
        raise InputError(
            f"the arm '{recipe.name}' has no configuration: {recipe.config} is missing."
        )
    read = _read(recipe.config, recipe.config.stat().st_mtime_ns)
    config = fill(read, {"seed": seed})  # a copy
    for key, value in recipe.set.items():
        set_dotted(config, key, fill(value, {"seed": seed}))
    config["seed_everything"] = seed
    set_dotted(config, "data.init_args.seed", seed)
    set_dotted(config, "trainer.accelerator", accelerator)
    return config


def set_dotted(config: dict[str, Any], key: str, value: Any) -> None:
    """Replace the value at a dotted key, making the mappings on the way."""
    *parents, last = key.split(".")
    for parent in parents:
        config = config.setdefault(parent, {})
    config[last] = value


@cache
def _read(path: Path, written: int) -> dict[str, Any]:  # noqa: ARG001 - read again once it changes
    return read_mapping(path, "the configuration")


def class_paths(value: Any) -> Iterator[str]:
    """Yield every class that a configuration names."""
    if isinstance(value, dict):
        if isinstance(value.get("class_path"), str):
            yield value["class_path"]
        for each in value.values():
            yield from class_paths(each)
    elif isinstance(value, list):
        for each in value:
            yield from class_paths(each)
