"""DGN-AM: climb a class's logit through a generator (Nguyen et al. 2016, arXiv:1605.09304)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lit_synth.contracts.generator import as_generator
from lit_synth.features.base import Extractor
from lit_synth.features.targets import check_targets, released_with, settings_from_release
from lit_synth.method import Method
from lit_synth.releases.format import load_release
from lit_synth.stages import Stage


class DGNAM(Method):
    """Move each code z until a frozen classifier sees the wanted class in the frozen G(z).

    Every step adds step_size g / mean |g|, g the gradient of the class's logit; shrinks the code,
    which stands for a Gaussian prior over codes; and keeps it within 3 standard deviations.

    Follows https://github.com/Evolving-AI-Lab/synthesizing at 080c0b4: the normalised gradient, the
    step size that falls linearly to 0, the factor .99 and the bound.

    Deviations: the code is a GAN's z ~ N(0, I), whose moments are known, not the fc6 features of a
    generator trained to invert a classifier; so its bound is +-3, and the step size is in units of
    its standard deviation. The gradient goes from logit to code at once, without a step on the
    image in between. Nothing is trained: give one stage of one iteration.

    Args:
        source: Release with an unconditional `generator`: a folder or a bundled name.
        classifier: Frozen extractor with logits.
        target_classes: Classes of the classifier that images are asked of, in turn.
        stages: One stage of one iteration.
        steps: Steps per image (thesis: 200).
        step_size: Mean absolute change of a coordinate in the first step.
        decay: Factor on the code after every step.
    """

    def __init__(
        self,
        source: str,
        classifier: Extractor,
        target_classes: list[int],
        stages: list[Stage],
        steps: int = 200,
        step_size: float = 0.05,
        decay: float = 0.99,
    ) -> None:
        super().__init__(stages)
        self.generator = as_generator(load_release(source).network("generator"))
        self.generator.requires_grad_(False)
        self.classifier = classifier
        check_targets(source, self.generator, classifier, target_classes)
        self.target_classes, self.steps = target_classes, steps
        self.step_size, self.decay = step_size, decay

    @classmethod
    def players_at(cls, iteration: int, stage: Stage, settings: Mapping[str, Any]) -> list[str]:  # noqa: ARG003 - never
        return []

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return []

    def training_step(self, batch: dict[str, Tensor]) -> None:
        """Train nothing: the method is all in `generate`."""

    def prior(self, n: int, rng: torch.Generator) -> dict[str, Tensor]:
        """Draw z (n, latent_dim) from a standard normal; target classes (n,) take turns."""
        turns = torch.arange(n) % len(self.target_classes)
        return {
            "z": torch.randn(n, self.generator.latent_dim, generator=rng),
            "label": torch.tensor(self.target_classes)[turns],
        }

    def generate(self, batch: dict[str, Tensor]) -> Tensor:
        # Lightning predicts in inference mode, whose tensors take no part in gradients; leaving it
        # switches gradients on.
        with torch.inference_mode(False), torch.no_grad():
            z, label = batch["z"].clone(), batch["label"].clone()
            for step in range(self.steps):
                g = self.logit_gradient(z, label)
                scale = g.abs().mean(dim=1, keepdim=True).clamp(min=1e-12)
                z = z + self.step_size * (1 - step / self.steps) * g / scale
                z = self.decay * z.clamp(-3, 3)
            return self.generator(z)

    @torch.enable_grad()
    def logit_gradient(self, z: Tensor, label: Tensor) -> Tensor:
        """Return the gradient (N, latent_dim) of the logits of classes (N,) in codes z."""
        z = z.detach().requires_grad_()
        logits = self.classifier(self.generator(z)).logits
        (gradient,) = torch.autograd.grad(logits.gather(1, label[:, None]).sum(), z)
        return gradient

    def release(self) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        """Return the generator and, if it is a release's, the classifier; and the classes."""
        networks, facts = released_with(self.classifier)
        return {"generator": self.generator, **networks}, {
            "target_classes": self.target_classes,
            **facts,
        }

    def released_settings(self) -> dict[str, Any]:
        return settings_from_release(self.classifier)
