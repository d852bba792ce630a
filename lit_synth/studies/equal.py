"""Equal arms: what every arm trains with, and in which of it arms that are compared differ."""

import hashlib
import importlib
import inspect
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lit_synth.errors import InputError
from lit_synth.stages import Stage
from lit_synth.studies.code_hash import module_of
from lit_synth.studies.jobs import Job, Jobs
from lit_synth.studies.plan import FIELDS, Plan
from lit_synth.studies.terms import matching

Facts = dict[str, Any]
Config = Mapping[str, Any]
NO_DATA = ("seed", "batch_size", "num_workers")  # settings that do not change what there is
WORDS = {
    "ema": "the averaging of their weights",
    "lr": "their learning rates",
    "updates": "the updates of their networks",
    "images": "the images they have seen",
    "batch_size": "their batch size",
    "trials": "the trials that tuned them",
    "data": "their data",
}


def facts_of_arms(jobs: Jobs) -> dict[str, Facts]:
    """Return the facts of every arm, read off the complete configuration of its first seed.

    What an arm goes on from (`start`) counts as its own training.

    Returns:
        Arm -> `ema`: half-life and ramp-up of the average of its weights, or None; `lr`: highest
        learning rate by player; `updates`: optimizer steps by player; `images`: images that it has
        seen of each training set; `batch_size`; `trials`: None where the plan says nothing; `data`:
        the class, and a hash of its settings.
    """
    by_release = {str(job.release): job for job in jobs.by_key.values()}
    return {
        name: {
            **_facts(next(iter(by_seed.values())), by_release),
            "trials": jobs.plan.trials[name],
        }
        for name, by_seed in jobs.arms.items()
    }


def unequal(plan: Plan, facts: Mapping[str, Facts]) -> dict[str, dict[str, Any]]:
    """Return the fields in which arms that are compared differ, unless `compares` names them.

    Arms are compared if an expectation, not a control, sets one against the other. Of several arms
    on a side, both sides must have the same values. Arms that train nothing are left out, and so is
    a player that one side does not have.

    Returns:
        Field -> arm -> value, of the first expectation that differs in it.
    """
    found: dict[str, dict[str, Any]] = {}
    for expectation in plan.expects:
        if expectation.role == "control":
            continue
        sides = [
            [
                arm
                for factor, pattern, _ in expectation.parts
                if (factor > 0) == positive
                for arm in matching(pattern, facts)
                if trains(facts[arm])
            ]
            for positive in (True, False)
        ]
        for name in comparable(*([facts[arm] for arm in side] for side in sides)):
            if name not in plan.compares:
                arms = dict.fromkeys([*sides[0], *sides[1]])
                found.setdefault(name, {arm: facts[arm][name] for arm in arms})
    return found


def comparable(ours: Sequence[Facts], theirs: Sequence[Facts]) -> list[str]:
    """Return the fields in which two sides of a comparison differ; with none, they are equal."""
    if not ours or not theirs:
        return []
    return [name for name in FIELDS if _differ(*([f[name] for f in s] for s in (ours, theirs)))]


def refuse_unequal(plan: Plan, facts: Mapping[str, Facts]) -> None:
    """Raise InputError if arms that are compared differ in what is not the thing compared."""
    for name, values in unequal(plan, facts).items():
        raise InputError(
            f"study {plan.id}: {sentence(name, values)}: make them equal, or name '{name}' in "
            "compares with the reason."
        )


def sentence(name: str, values: Mapping[str, Any]) -> str:
    """Say in which field arms differ, with two of the values."""
    first, value = next(iter(values.items()))
    other, another = next((item for item in values.items() if item[1] != value), (first, value))
    return (
        f"arms differ in {WORDS[name]} ({name}), which is not what is compared: {first} has "
        f"{_told(value)}, {other} has {_told(another)}"
    )


def trains(facts: Facts) -> bool:
    """Does an arm train anything but critics, which show no images?"""
    made = [steps for player, steps in facts["updates"].items() if not player.endswith("critic")]
    return any(made) and any(facts["lr"].values())


def _facts(job: Job, by_release: Mapping[str, Job]) -> Facts:
    """Return what `facts_of_arms` says, but for trials, of one run."""
    model, data = job.config["model"], job.config["data"]
    method = _class(model["class_path"])
    settings = _settings(method, model)
    try:
        stages = [Stage(**stage) for stage in settings.get("stages", [])]
    except TypeError as error:
        raise InputError(f"{job.label} has stages that are none: {error}.") from error
    updates: Counter[str] = Counter()
    for iteration, stage in enumerate(s for s in stages for _ in range(s.iterations)):
        updates.update(method.players_at(iteration, stage, settings))
    batch_size = _settings(_class(data["class_path"]), data).get("batch_size")
    images = (batch_size or 0) * sum(stage.iterations for stage in stages)
    lr = _rates(settings, stages, updates)
    if before := by_release.get(str(settings.get("start"))):
        earlier = _facts(before, by_release)
        updates.update(earlier["updates"])
        images += earlier["images"]
    return {
        "ema": _average(job.config.get("trainer", {}).get("callbacks") or []),
        "lr": lr,
        "updates": dict(updates),
        "images": images,
        "batch_size": batch_size,
        "data": _summary(data),
    }


def _rates(settings: Config, stages: list[Stage], players: Iterable[str]) -> dict[str, float]:
    """Return the highest learning rate of each player in a stage that does not freeze it.

    A player's own rate may be null, which stands for `lr`.
    """
    own_rates = {name for name in settings if name[:3] == "lr_" and settings[name] is not None}
    named = {name.removeprefix("lr_"): settings[name] for name in own_rates}
    own = {player: settings["lr"] for player in players if "lr" in settings} | named
    scales = {
        player: [s.lr_scale for s in stages if not {player, f"{player}s"} & set(s.freeze)]
        for player in own
    }
    return {player: lr * max(scales[player]) for player, lr in own.items() if scales[player]}


def _average(callbacks: Any) -> str | None:
    for callback in callbacks if isinstance(callbacks, list) else [callbacks]:
        if callback.get("class_path", "").rpartition(".")[2] == "EMA":
            settings = _settings(_class(callback["class_path"]), callback)
            return f"half-life {settings['half_life_kimg']:g} kimg, ramp-up {settings['rampup']}"
    return None


def _summary(data: Config) -> str:
    settings = {k: v for k, v in data.get("init_args", {}).items() if k not in NO_DATA}
    text = json.dumps(settings, sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{data['class_path'].rpartition('.')[2]} {digest}"


def _class(path: str) -> Any:
    module = module_of(path)
    if module is None:
        raise InputError(f"no class {path} is known here: give one of lit_synth or datamodules.")
    return getattr(importlib.import_module(module), path.rpartition(".")[2])


def _settings(cls: Any, spec: Config) -> dict[str, Any]:
    """Return a class's settings: the defaults of its parameters, and what is given."""
    parameters = inspect.signature(cls).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    return {**defaults, **spec.get("init_args", {})}


def _differ(ours: list[Any], theirs: list[Any]) -> bool:
    """Do two sides have other values? Of values by player, those of players that both have."""
    if all(isinstance(value, Mapping) for value in (*ours, *theirs)):
        players = set().union(*ours) & set().union(*theirs)
        return any(_differ(*([v.get(p) for v in s] for s in (ours, theirs))) for p in players)
    return {json.dumps(v) for v in ours} != {json.dumps(v) for v in theirs}


def _told(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {each}" for name, each in value.items()) or "none"
    return "none" if value is None else str(value)
