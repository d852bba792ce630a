"""Staged training: what trains, how fast and for how long, as a pure function of the iteration."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import nn

from lit_synth.errors import InputError

COSINE_END = 0.05  # share of the learning rate that a cosine decay ends with


@dataclass
class Stage:
    """A stretch of training.

    Attributes:
        name: Shown in the progress bar and logged.
        iterations: Length in batches through `training_step`.
        freeze: Networks (dotted attribute names of the method) that do not train in this stage.
        reset_optimizers: Drop the optimizers' moments on entering the stage?
        weights: Weights of loss terms in this stage, by the names that the method documents.
        lr_scale: Factor on all learning rates of the method.
        decay: How the learning rates fall within the stage: not at all, linearly to 0, or as half a
            cosine to 5 %.
        warmup: Iterations over which the learning rates rise linearly at the start of the stage.
    """

    name: str
    iterations: int
    freeze: list[str] = field(default_factory=list)
    reset_optimizers: bool = False
    weights: dict[str, float] = field(default_factory=dict)
    lr_scale: float = 1.0
    decay: Literal["constant", "linear", "cosine"] = "constant"
    warmup: int = 0

    def lr_factor(self, k: int) -> float:
        """Return the factor on all learning rates at the stage's iteration `k` (from 0)."""
        done = min(k / self.iterations, 1.0)
        falling = {
            "constant": 1.0,
            "linear": 1.0 - done,
            "cosine": COSINE_END + (1 - COSINE_END) * (1 + math.cos(math.pi * done)) / 2,
        }[self.decay]
        return self.lr_scale * falling * min(1.0, (k + 1) / (self.warmup + 1))


class Staging:
    """Applies the stages of a method to its networks and optimizers, iteration by iteration.

    A frozen network is in eval mode; thawed, it is in the mode that it was built in.

    Args:
        method: Parent of the networks.
        stages: All stages of the method.
    """

    def __init__(self, method: nn.Module, stages: list[Stage]) -> None:
        self.stages = stages
        self._entered: Stage | None = None
        names = {name for stage in stages for name in stage.freeze}
        networks = {name: _network(method, name) for name in names}
        self._built = {
            name: (network, network.training, [p for p in network.parameters() if p.requires_grad])
            for name, network in networks.items()
        }

    def start(
        self, optimizers: Sequence[LightningOptimizer], configured: Sequence[torch.optim.Optimizer]
    ) -> None:
        """Take the learning rates that are configured, and not those that a checkpoint brings.

        Args:
            optimizers: What trains.
            configured: The same, as the settings make them.
        """
        for optimizer, fresh in zip(optimizers, configured, strict=True):
            for group, as_set in zip(optimizer.param_groups, fresh.param_groups, strict=True):
                # Nor may a checkpoint of another form be stepped fused: its counts are elsewhere.
                kept = {"params", "fused"}
                group.update({key: value for key, value in as_set.items() if key not in kept})
                group["full_lr"] = group["lr"]

    def apply(self, iteration: int, optimizers: Sequence[LightningOptimizer]) -> None:
        """Make everything as the stage of an iteration asks; at its first one, apply its resets."""
        index, stage = stage_at(self.stages, iteration)
        first = sum(earlier.iterations for earlier in self.stages[:index])
        if stage is not self._entered:
            self._freeze(stage)
            if iteration == first and stage.reset_optimizers:
                for optimizer in optimizers:
                    optimizer.optimizer.state.clear()
            self._entered = stage
        factor = stage.lr_factor(iteration - first)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = factor * group["full_lr"]

    def _freeze(self, stage: Stage) -> None:
        for name, (network, training, parameters) in self._built.items():
            frozen = name in stage.freeze
            for parameter in parameters:
                parameter.requires_grad_(not frozen)
            network.train(training and not frozen)


def _network(method: nn.Module, name: str) -> nn.Module:
    try:
        return method.get_submodule(name)
    except AttributeError as error:
        children = ", ".join(child for child, _ in method.named_children())
        raise InputError(f"a stage freezes '{name}', but the networks are: {children}.") from error


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


def share_iterations(total: int, lengths: list[int]) -> list[int]:
    """Share `total` iterations over stages in proportion to their lengths, each at least 1.

    Shares are rounded down, and what remains goes to the largest remainders.
    """
    if total < len(lengths):
        raise InputError(
            f"--iterations is {total}, but there are {len(lengths)} stages: give each at least 1."
        )
    exact = [total * length / sum(lengths) for length in lengths]
    shares = [max(1, int(share)) for share in exact]
    while (left := total - sum(shares)) != 0:
        step = 1 if left > 0 else -1  # below 0 where short stages were given their 1
        able = [i for i, share in enumerate(shares) if share + step >= 1]
        shares[max(able, key=lambda i: step * (exact[i] - shares[i]))] += step
    return shares


def check_stages(stages: list[Stage]) -> list[Stage]:
    """Return `stages`, or raise InputError if there is none or one cannot be gone through."""
    if not stages:
        raise InputError("stages is empty: give at least one stage with a name and iterations.")
    for stage in stages:
        if stage.iterations < 1:
            raise InputError(
                f"stage '{stage.name}' has {stage.iterations} iterations: expected at least 1."
            )
        if stage.warmup < 0:
            raise InputError(f"stage '{stage.name}' has warmup {stage.warmup}: expected 0 or more.")
        if not 0 < stage.lr_scale < math.inf:
            raise InputError(
                f"stage '{stage.name}' has lr_scale {stage.lr_scale}: expected a number above 0; "
                "networks that are not to train are named in freeze."
            )
        for term, weight in stage.weights.items():
            if not 0 <= weight < math.inf:
                raise InputError(
                    f"stage '{stage.name}' weighs '{term}' by {weight}: expected 0 or more."
                )
    return stages


def check_weights(stages: list[Stage], terms: list[str]) -> None:
    """Raise InputError if a stage weighs a term that the method does not have."""
    for stage in stages:
        if unknown := sorted(set(stage.weights) - set(terms)):
            raise InputError(
                f"stage '{stage.name}' weighs '{unknown[0]}', but the terms are: "
                f"{', '.join(terms)}."
            )
