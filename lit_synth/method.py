"""Method: the only base class, what every training method shares and nothing more."""

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from lit_synth.contracts.translator import Translator
from lit_synth.errors import InputError
from lit_synth.runs.lightning_internals import iterations_done
from lit_synth.runs.resume import check_same_architecture
from lit_synth.stages import Stage, Staging, check_stages, stage_at
from lit_synth.tensors.draws import Draws
from lit_synth.tensors.running_means import RunningMeans


class Method(pl.LightningModule):
    """A training method with manual, multi-optimizer steps.

    A subclass takes its networks by injection, and defines `configure_optimizers`,
    `training_step(batch)` (one iteration: one batch of real images), `prior` and `generate`.

    Randomness in a training step comes from `randn`, `rand`, `randint` and `shuffled`, so that a
    resumed run goes on exactly, and W processes draw what one would (see `Draws`).

    Hyperparameters are not stored in checkpoints: the run's `config.yaml` is the truth.

    Args:
        stages: The stretches of training, in order.
    """

    def __init__(self, stages: list[Stage]) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.stages = check_stages(stages)
        self.draws = Draws(torch.initial_seed() % 2**63)
        self.means = RunningMeans()

    def prior(self, n: int, rng: torch.Generator) -> dict[str, Tensor]:  # noqa: ARG002 - drawn from
        """Draw the random inputs of `n` images on the CPU from `rng`; none, unless overridden."""
        return {}

    def generate(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the images (N, C, H, W) in [-1, 1] that the method is judged on.

        Of a method that translates they are those of its first translation, unless overridden.

        Args:
            batch: What `prior` returns, and real images for those that translate, on the module's
                device.
        """
        assert isinstance(self, Translator), f"{type(self).__name__} defines no generate"
        return self.translate(batch, self.translations()[0])

    @classmethod
    def players_at(cls, iteration: int, stage: Stage, settings: Mapping[str, Any]) -> list[str]:  # noqa: ARG003 - for methods whose stages differ
        """Return the players whose optimizers step in an iteration, for studies to count.

        Of a game the critic steps in every one and the generator in every `n_critic`-th; without a
        critic there is a generator alone. Overridden by methods that play otherwise.

        Args:
            iteration: Counted from 0 over all stages.
            stage: The one that it falls in.
            settings: Of the method, defaults included.
        """
        if not any(name.startswith(("critic", "discriminator", "n_critic")) for name in settings):
            return ["generator"]
        moves = (iteration + 1) % settings.get("n_critic", 1) == 0
        return ["critic", "generator"] if moves else ["critic"]

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
        self.means.to(self.device)
        configured: Any = self.configure_optimizers()
        self._staging = Staging(self, self.stages)
        self._staging.start(
            self.optimizers(), configured if isinstance(configured, list) else [configured]
        )
        self._stop_when_done()

    def on_train_batch_start(self, *_: Any) -> None:
        self._staging.apply(self.iteration, self.optimizers())

    def on_train_batch_end(self, *_: Any) -> None:
        self._stop_when_done()

    def _stop_when_done(self) -> None:
        # Not by skipping a batch: Lightning would count it as one more iteration.
        if self.iteration >= self.total_iterations:
            self.trainer.should_stop = True

    # Optimisation.

    def optimizers(self) -> list[LightningOptimizer]:  # type: ignore[override]  # always a list
        optimizers = super().optimizers()
        return optimizers if isinstance(optimizers, list) else [optimizers]

    def minimize(self, loss: Tensor, optimizer: LightningOptimizer) -> None:
        """Take one optimizer step down the gradient of the scalar `loss`."""
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()

    # Randomness, of this process's part of the global batch.

    def randn(self, n: int, *shape: int) -> Tensor:
        """Draw (n, *shape) from a standard normal distribution."""
        return self.draws.normal(n, *shape).to(self.device)

    def rand(self, n: int, *shape: int) -> Tensor:
        """Draw (n, *shape) from a uniform distribution on [0, 1)."""
        return self.draws.uniform(n, *shape).to(self.device)

    def randint(self, high: int, n: int) -> Tensor:
        """Draw (n,) integers, uniform over 0..high-1."""
        return self.draws.integers(high, n).to(self.device)

    def shuffled(self, x: Tensor) -> Tensor:
        """Return this process's slice of the global batch, `x` (N, ...) here, in a random order."""
        return self.draws.shuffled(x)

    # Logging.

    def track(self, **terms: Tensor) -> None:
        """Add scalars to the running means that are logged as `train/<name>`."""
        self.means.add(**terms)

    # Checkpoints.

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["rng"] = self.draws.rng.get_state()
        checkpoint["tracked"] = self.means.state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        check_same_architecture(self.state_dict(), checkpoint["state_dict"])
        self.draws.rng.set_state(checkpoint["rng"])
        trainer = self.trainer
        self.means.restore(checkpoint["tracked"], trainer.global_rank, trainer.world_size)

    def release(self) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        """Return the networks worth shipping by name, and JSON-able facts that belong to them."""
        return dict(self.named_children()), {}

    def released_settings(self) -> dict[str, Any]:
        """Return the settings, JSON values, that differ where the method is built from its release.

        What names other releases must not: `$release` stands for the method's own.
        """
        return {}

    def restore(
        self,
        tensors: Mapping[str, Tensor],
        extra: Mapping[str, Any],  # noqa: ARG002 - for methods that had facts besides networks
    ) -> None:
        """Take over the tensors of a release, keyed `<network>.<tensor>`, and its facts.

        A frozen network that an older release lacks stays as the settings built it.
        """
        held = {name.partition(".")[0] for name in tensors}
        networks = nn.ModuleDict(
            {
                name: network
                for name, network in self.release()[0].items()
                if name in held or any(each.requires_grad for each in network.parameters())
            }
        )
        own = {id(tensor) for tensor in (*self.parameters(), *self.buffers())}
        for name, network in networks.items():
            if any(id(each) not in own for each in (*network.parameters(), *network.buffers())):
                raise InputError(
                    f"{type(self).__name__} releases '{name}' in another form than it trains it "
                    "in, so the method cannot be had back from a release."
                )
        networks.load_state_dict(tensors)

    # Lightning's verbs: evaluation and image writing are the callbacks' work.

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        pass

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        pass

    def predict_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:  # noqa: ARG002
        with torch.autocast(self.device.type, enabled=False):  # as grids and evaluation make them
            return self.generate(batch)
