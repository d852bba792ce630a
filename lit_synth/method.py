"""Method: the only base class, what every training method shares and nothing more."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.runs.lightning_internals import iterations_done
from lit_synth.stages import Stage, check_stages, stage_at
from lit_synth.tensors.processes import gathered, of_all_processes


class Method(pl.LightningModule, ABC):
    """A training method with manual, multi-optimizer steps.

    A subclass takes its networks by injection, and defines `configure_optimizers`,
    `training_step(batch)` (one iteration: one batch of real images), `prior` and `generate`.

    Randomness in a training step comes from `randn`, `rand` and `randint`. Each draws for the whole
    global batch from one seeded generator that is saved in the checkpoint, and returns this
    process's slice: a resumed run goes on exactly, and W processes draw what one would.

    Hyperparameters are not stored in checkpoints: the run's `config.yaml` is the truth.

    Args:
        stages: The stretches of training, in order.
    """

    def __init__(self, stages: list[Stage]) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.stages = check_stages(stages)
        self._rng = torch.Generator().manual_seed(torch.initial_seed() % 2**63)
        self._entered: Stage | None = None
        self._thawed: dict[str, tuple[bool, list[nn.Parameter]]] = {}
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def prior(self, n: int, rng: torch.Generator) -> dict[str, Tensor]:  # noqa: ARG002 - drawn from
        """Draw the random inputs of `n` images on the CPU from `rng`; none, unless overridden."""
        return {}

    @abstractmethod
    def generate(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the images (N, C, H, W) in [-1, 1] that the method is judged on.

        Args:
            batch: What `prior` returns, on the module's device.
        """

    # Duration.

    @property
    def iteration(self) -> int:
        """Batches that `training_step` has finished: inside a step, its index from 0."""
        return iterations_done(self.trainer)

    @property
    def total_iterations(self) -> int:
        """Iterations of all stages together."""
        return sum(stage.iterations for stage in self.stages)

    @property
    def stage(self) -> Stage:
        """The stage that the current iteration falls in."""
        return stage_at(self.stages, self.iteration)[1]

    def on_train_start(self) -> None:
        # Not earlier: a checkpoint is read before the networks are on their device.
        self._sums = {name: total.to(self.device) for name, total in self._sums.items()}
        self._apply_configured_rates()
        self._stop_when_done()

    def _apply_configured_rates(self) -> None:
        # A checkpoint brings its learning rates along, but those of the configuration hold.
        configured: Any = self.configure_optimizers()
        as_list = configured if isinstance(configured, list) else [configured]
        for optimizer, fresh in zip(self.optimizers(), as_list, strict=True):
            for group, as_set in zip(optimizer.param_groups, fresh.param_groups, strict=True):
                group.update({key: value for key, value in as_set.items() if key != "params"})
                group["full_lr"] = group["lr"]

    def on_train_batch_start(self, *_: Any) -> None:
        index, stage = stage_at(self.stages, self.iteration)
        first = sum(each.iterations for each in self.stages[:index])
        if stage is not self._entered:
            self._enter(stage, at_its_start=self.iteration == first)
        factor = stage.lr_factor(self.iteration - first)
        for optimizer in self.optimizers():
            for group in optimizer.param_groups:
                group["lr"] = factor * group["full_lr"]

    def on_train_batch_end(self, *_: Any) -> None:
        self._stop_when_done()

    def _stop_when_done(self) -> None:
        # Not by skipping a batch: Lightning would count it as one more iteration.
        if self.iteration >= self.total_iterations:
            self.trainer.should_stop = True

    def _enter(self, stage: Stage, at_its_start: bool) -> None:
        """Freeze or thaw networks for `stage`; at its first iteration, apply its resets.

        A frozen network is in eval mode; thawed, it is in the mode that it was built in.
        """
        if not self._thawed:
            self._thawed = {
                name: (network.training, [p for p in network.parameters() if p.requires_grad])
                for name in {name for each in self.stages for name in each.freeze}
                for network in [self._network(name)]
            }
        for name, (training, parameters) in self._thawed.items():
            frozen = name in stage.freeze
            for parameter in parameters:
                parameter.requires_grad_(not frozen)
            self._network(name).train(training and not frozen)
        if at_its_start and stage.reset_optimizers:
            for optimizer in self.optimizers():
                optimizer.optimizer.state.clear()
        self._entered = stage

    def _network(self, name: str) -> nn.Module:
        try:
            return self.get_submodule(name)
        except AttributeError as error:
            children = ", ".join(child for child, _ in self.named_children())
            raise InputError(
                f"a stage freezes '{name}', but the networks are: {children}."
            ) from error

    # Optimisation.

    def optimizers(self) -> list[LightningOptimizer]:  # type: ignore[override]  # always a list
        optimizers = super().optimizers()
        return optimizers if isinstance(optimizers, list) else [optimizers]

    def minimize(self, loss: Tensor, optimizer: LightningOptimizer) -> None:
        """Take one optimizer step down the gradient of the scalar `loss`."""
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()

    # Randomness.

    def randn(self, n: int, *shape: int) -> Tensor:
        """Draw this process's (n, *shape) slice of a standard normal global batch."""
        return self._draw(lambda m: torch.randn(m, *shape, generator=self._rng), n)

    def rand(self, n: int, *shape: int) -> Tensor:
        """Draw this process's (n, *shape) slice of a uniform [0, 1) global batch."""
        return self._draw(lambda m: torch.rand(m, *shape, generator=self._rng), n)

    def randint(self, high: int, n: int) -> Tensor:
        """Draw this process's (n,) slice of integers, uniform over 0..high-1."""
        return self._draw(lambda m: torch.randint(high, (m,), generator=self._rng), n)

    def _draw(self, draw: Callable[[int], Tensor], n: int) -> Tensor:
        everyones = draw(n * self.trainer.world_size)
        return everyones.narrow(0, self.trainer.global_rank * n, n).to(self.device)

    def shuffled(self, x: Tensor) -> Tensor:
        """Return this process's slice of the global batch, `x` (N, ...) here, in a random order."""
        everyones = gathered(x)
        order = torch.randperm(len(everyones), generator=self._rng).to(x.device)
        return everyones[order].narrow(0, self.trainer.global_rank * len(x), len(x))

    # Logging.

    def track(self, **terms: Tensor) -> None:
        """Add scalars to the running means that are logged as `train/<name>`."""
        for name, value in terms.items():
            self._sums[name] = self._sums.get(name, 0.0) + value.detach().float()
            self._counts[name] = self._counts.get(name, 0) + 1

    def tracked(self) -> dict[str, float]:
        """Return the mean of every term since the last call, and start anew."""
        means = {name: (total / self._counts[name]).item() for name, total in self._sums.items()}
        self._sums, self._counts = {}, {}
        return means

    # Checkpoints.

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["rng"] = self._rng.get_state()
        sums = {name: total.cpu() for name, total in self._sums.items()}
        checkpoint["tracked"] = of_all_processes((sums, self._counts))

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        _check_same_architecture(self.state_dict(), checkpoint["state_dict"])
        self._rng.set_state(checkpoint["rng"])
        tracked = checkpoint["tracked"]
        if len(tracked) == self.trainer.world_size:
            self._sums, self._counts = tracked[self.trainer.global_rank]

    def release(self) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        """Return the networks worth shipping by name, and JSON-able facts that belong to them."""
        return dict(self.named_children()), {}

    # Lightning's verbs: evaluation and image writing are the callbacks' work.

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        pass

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        pass

    def predict_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:  # noqa: ARG002
        return self.generate(batch)


def _check_same_architecture(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    """Raise InputError, naming the first tensor that differs, unless names and shapes agree."""
    for name in sorted(ours.keys() | theirs.keys()):
        here, there = (
            list(state[name].shape) if name in state else "missing" for state in (ours, theirs)
        )
        if here != there:
            raise InputError(
                f"the checkpoint is of another architecture: {name} is {there} there and {here} "
                "here; give the settings that it was trained with."
            )
