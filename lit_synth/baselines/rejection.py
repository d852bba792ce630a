"""Rejection: of what a frozen generator makes, keep the images that a classifier wants."""

from typing import Any

import torch
from torch import Tensor, nn

from lit_synth.contracts.generator import as_generator
from lit_synth.features.base import Extractor
from lit_synth.features.targets import check_targets, released_with, settings_from_release
from lit_synth.method import Method
from lit_synth.releases.format import load_release
from lit_synth.stages import Stage


class Rejection(Method):
    """Draw z until the frozen classifier reads the frozen G(z) as the class that is wanted.

    This is rejection sampling from G with the classifier as its test: the oracle of mining. A miner
    that leaves the generator as it is can at best find what is found here, with a classifier that
    knows the target from many labelled images; so it tells whether a source has the target at all.

    Of `tries` images the first that is read as the class is kept; if none is, the one that the
    classifier gives the highest probability of it. Nothing is trained: give one stage of one
    iteration.

    Args:
        source: Release with an unconditional `generator`: a folder or a bundled name.
        classifier: Frozen extractor with logits; not the one that judges the images.
        target_classes: Classes of the classifier that images are asked of, in turn.
        stages: One stage of one iteration.
        tries: Images made for each one that is kept.
    """

    def __init__(
        self,
        source: str,
        classifier: Extractor,
        target_classes: list[int],
        stages: list[Stage],
        tries: int = 100,
    ) -> None:
        super().__init__(stages)
        self.generator = as_generator(load_release(source).network("generator"))
        self.generator.requires_grad_(False)
        self.classifier = classifier
        check_targets(source, self.generator, classifier, target_classes)
        self.target_classes, self.tries = target_classes, tries

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return []

    def training_step(self, batch: dict[str, Tensor]) -> None:
        """Train nothing: the method is all in `generate`."""

    def prior(self, n: int, rng: torch.Generator) -> dict[str, Tensor]:
        """Draw z (n, tries, latent_dim) from a standard normal; target classes (n,) take turns."""
        turns = torch.arange(n) % len(self.target_classes)
        return {
            "z": torch.randn(n, self.tries, self.generator.latent_dim, generator=rng),
            "label": torch.tensor(self.target_classes)[turns],
        }

    @torch.no_grad()
    def generate(self, batch: dict[str, Tensor]) -> Tensor:
        return torch.stack(
            [self.first_read_as(int(c), z) for z, c in zip(batch["z"], batch["label"], strict=True)]
        )

    def first_read_as(self, wanted: int, z: Tensor) -> Tensor:
        """Return the first of the images of z (tries, latent_dim) that is read as a class."""
        images = self.generator(z)
        logits = self.classifier(images).logits
        hit = logits.argmax(dim=1) == wanted
        certainty = logits.log_softmax(dim=1)[:, wanted]
        return images[hit.float().argmax() if hit.any() else certainty.argmax()]

    def release(self) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        """Return the generator and, if it is a release's, the classifier; and the classes."""
        networks, facts = released_with(self.classifier)
        return {"generator": self.generator, **networks}, {
            "target_classes": self.target_classes,
            **facts,
        }

    def released_settings(self) -> dict[str, Any]:
        return settings_from_release(self.classifier)
