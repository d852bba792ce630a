"""PPGN: sample codes given a class, with a learned prior (Nguyen et al. 2017, arXiv:1612.00005)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.contracts.generator import as_generator
from lit_synth.features.base import Extractor
from lit_synth.features.targets import check_targets, released_with, settings_from_release
from lit_synth.method import Method
from lit_synth.networks.perceptron import Perceptron
from lit_synth.releases.format import load_release
from lit_synth.stages import Stage


class PPGN(Method):
    """Train a denoiser R of codes; sample h by a noisy climb of log p(h) + log p(y | G(h)).

    A step is h <- h + eps_1 (R(h) - h) + eps_2 d log C(y | G(h)) / dh + N(0, eps_3^2) (eq. 11):
    R(h) - h points to likelier codes. Generator and classifier C are frozen.

    Deviations from https://github.com/Evolving-AI-Lab/ppgn at 1b18882: the code is a GAN's
    z ~ N(0, I), not fc6 features, so R learns what is nearly a shrinkage; R is a network of its
    own (the paper's PPGN-h), not generator plus encoder. The update is eq. 11 as printed: the
    released code divides it by its mean absolute value. Hence the weights are ours: they make the
    chain a Langevin sampler of p(h | y) whose likelihood counts 30 times over. The code is
    kept within 3 standard deviations.

    Args:
        source: Release with an unconditional `generator`: a folder or a bundled name.
        classifier: Frozen extractor with logits.
        target_classes: Classes of the classifier that images are asked of, in turn.
        stages: One stage, in which the denoiser is trained.
        hidden: Widths of the denoiser's hidden layers.
        noise: Standard deviation of the noise that the denoiser removes.
        steps: Steps per image (thesis: 200).
        epsilon_1: Weight of the denoiser's direction.
        epsilon_2: Weight of the classifier's gradient.
        epsilon_3: Standard deviation of the noise of a step.
        lr: Adam learning rate of the denoiser.
    """

    def __init__(
        self,
        source: str,
        classifier: Extractor,
        target_classes: list[int],
        stages: list[Stage],
        hidden: list[int] = [128, 128],  # noqa: B006  never mutated; jsonargparse shows it in the help
        noise: float = 0.5,
        steps: int = 200,
        epsilon_1: float = 0.04,
        epsilon_2: float = 0.3,
        epsilon_3: float = 0.14,
        lr: float = 1e-3,
    ) -> None:
        super().__init__(stages)
        self.generator = as_generator(load_release(source).network("generator"))
        self.generator.requires_grad_(False)
        self.classifier = classifier
        check_targets(source, self.generator, classifier, target_classes)
        self.denoiser = Perceptron([self.generator.latent_dim, *hidden, self.generator.latent_dim])
        self.target_classes, self.steps, self.noise, self.lr = target_classes, steps, noise, lr
        self.epsilon_1, self.epsilon_2, self.epsilon_3 = epsilon_1, epsilon_2, epsilon_3

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.denoiser.parameters(), self.lr, fused=True)

    def training_step(self, batch: dict[str, Tensor]) -> None:
        (opt,) = self.optimizers()

        # Denoiser: give back codes of the generator from noisy ones; images play no part.
        h = self.randn(len(batch["image"]), self.generator.latent_dim)
        h_noisy = h + self.noise * self.randn(*h.shape)
        rec = F.mse_loss(self.denoiser(h_noisy), h)
        self.minimize(rec, opt)
        self.track(rec=rec)

    def prior(self, n: int, rng: torch.Generator) -> dict[str, Tensor]:
        """Draw z (n, latent_dim) and a seed (n,) of each chain; target classes (n,) take turns."""
        turns = torch.arange(n) % len(self.target_classes)
        return {
            "z": torch.randn(n, self.generator.latent_dim, generator=rng),
            "label": torch.tensor(self.target_classes)[turns],
            "noise": torch.randn(n, self.steps, self.generator.latent_dim, generator=rng),
        }

    def generate(self, batch: dict[str, Tensor]) -> Tensor:
        # Lightning predicts in inference mode, whose tensors take no part in gradients; leaving it
        # switches gradients on.
        with torch.inference_mode(False), torch.no_grad():
            h, label = batch["z"].clone(), batch["label"].clone()
            for noise in batch["noise"].clone().unbind(dim=1):
                to_likelier = self.denoiser(h) - h
                to_class = self.class_gradient(h, label)
                h = h + self.epsilon_1 * to_likelier + self.epsilon_2 * to_class
                h = (h + self.epsilon_3 * noise).clamp(-3, 3)
            return self.generator(h)

    @torch.enable_grad()
    def class_gradient(self, h: Tensor, label: Tensor) -> Tensor:
        """Return the gradient (N, latent_dim) of log C(y | G(h)) in codes h, for classes y (N,)."""
        h = h.detach().requires_grad_()
        logits = self.classifier(self.generator(h)).logits
        (gradient,) = torch.autograd.grad(-F.cross_entropy(logits, label, reduction="sum"), h)
        return gradient

    def release(self) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        """Return generator, denoiser and, if it is a release's, the classifier; and the classes."""
        networks, facts = released_with(self.classifier)
        return {"generator": self.generator, "denoiser": self.denoiser, **networks}, {
            "target_classes": self.target_classes,
            **facts,
        }

    def released_settings(self) -> dict[str, Any]:
        return settings_from_release(self.classifier)
