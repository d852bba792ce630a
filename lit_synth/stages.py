"""Staged training: what trains, and for how long, as a pure function of the iteration."""

from dataclasses import dataclass, field

from lit_synth.errors import InputError


@dataclass
class Stage:
    """A stretch of training.

    Attributes:
        name: Shown in the progress bar and logged.
        iterations: Length in batches through `training_step`.
        freeze: Networks (attribute names of the method) that do not train in this stage.
        reset_optimizers: Drop the optimizers' moments on entering the stage?
    """

    name: str
    iterations: int
    freeze: list[str] = field(default_factory=list)
    reset_optimizers: bool = False


def stage_at(stages: list[Stage], iteration: int) -> tuple[int, Stage]:
    """Return the index of the stage that `iteration` (counted from 0) falls in, and the stage.

    Past the end, the last stage goes on.
    """
    end = 0
    for position, stage in enumerate(stages):
        end += stage.iterations
        if iteration < end:
            return position, stage
    return len(stages) - 1, stages[-1]


def check_stages(stages: list[Stage]) -> list[Stage]:
    """Return `stages`, or raise InputError if there is none or one has no iteration."""
    if not stages:
        raise InputError("stages is empty: give at least one stage with a name and iterations.")
    for stage in stages:
        if stage.iterations < 1:
            raise InputError(
                f"stage '{stage.name}' has {stage.iterations} iterations: expected at least 1."
            )
    return stages
