"""Features of a small classifier, trained on real labelled images and kept as a release."""

import dataclasses
import json
from pathlib import Path
from typing import Any, TypedDict

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_synth.errors import InputError
from lit_synth.features.base import Extractor, Features
from lit_synth.networks.classifier import SmallClassifier
from lit_synth.releases.cache import Trained, trained_once
from lit_synth.releases.format import Release, load_release, save_release
from lit_synth.runs.telling import warn
from lit_synth.tensors.hashing import content_hash, image_digests


class Architecture(TypedDict, total=False):
    """Arguments of `SmallClassifier` that do not follow from the images."""

    width: int
    feature_dim: int
    kernel_size: int
    slope: float


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a reference classifier is trained; part of the key of its cache.

    Attributes:
        iterations: Updates of Adam, whose step falls to 0 along a cosine.
        batch_size: Images per update, drawn with replacement.
        lr: First step size.
        shift_px: Images are moved by up to this many pixels, with their border repeated.
        noise: Standard deviation of added Gaussian noise, images being in [-1, 1].
        seed: Seed of the weights and of every draw.
        network: Arguments of `SmallClassifier` that are not its defaults.
    """

    iterations: int = 600
    batch_size: int = 64
    lr: float = 2e-3
    shift_px: int = 1
    noise: float = 0.1
    seed: int = 0
    network: Architecture = dataclasses.field(default_factory=Architecture)

    def facts(self) -> dict[str, object]:
        """Return the settings; those of the network only where some were given."""
        settings = dataclasses.asdict(self)
        return settings if self.network else {k: settings[k] for k in settings if k != "network"}


class ReleaseClassifier(Extractor):
    """Features and logits of the network `classifier` of a release folder.

    Args:
        folder: Written by `train_classifier`, or the name of a bundled release; or a release that
            is loaded.

    Raises:
        InputError: If the release holds no SmallClassifier.
    """

    def __init__(self, folder: str | Path | Release) -> None:
        super().__init__()
        release = folder if isinstance(folder, Release) else load_release(folder)
        network = release.network("classifier")
        if not isinstance(network, SmallClassifier):
            raise InputError(
                f"The classifier of {release.folder} is a {type(network).__name__}, expected a "
                "SmallClassifier; train one with `lit-synth train-classifier`."
            )
        self.network = network
        self.name = f"classifier {release.folder.name}"
        self.sha256 = release.sha256
        self.size, self.channels = network.image_size, network.image_channels
        self.num_classes = network.num_classes
        self.resize = f"bilinear, antialiased, to {self.size}x{self.size}; {self.channels} channels"
        self.note = (
            f"The classifier knows only its {self.num_classes} classes: compare its numbers with "
            "each other, never with published Inception scores."
        )
        self.release = release
        self.freeze()

    @classmethod
    def spec(cls, folder: str) -> dict[str, Any]:
        """Return settings that build the classifier of a release."""
        return {"class_path": f"{cls.__module__}.{cls.__name__}", "init_args": {"folder": folder}}

    def forward(self, images: Tensor) -> Features:
        features = self.network.features(self._as_input(images))
        return Features(features, self.network.classify(features))

    def refuse_seen(self, images: Tensor) -> None:
        seen = set(self.release.extra["trained_on"]["images"])
        shared = sum(digest in seen for digest in image_digests(self._as_input(images)))
        if shared:
            raise InputError(
                f"{self.name} was trained on {shared} of the {len(images)} images that it is to "
                "judge; judge held-out images, or train a classifier on others."
            )

    def _as_input(self, images: Tensor) -> Tensor:
        x = _with_channels(images, self.channels)
        if x.shape[-2:] == (self.size, self.size):
            return x
        return F.interpolate(x, (self.size, self.size), mode="bilinear", antialias=True)


def train_classifier(
    images: Tensor,
    labels: Tensor,
    folder: str | Path,
    recipe: Recipe | None = None,
    held_out: tuple[Tensor, Tensor] | None = None,
) -> Path:
    """Train a classifier on real images and write it as a release.

    Args:
        images: Real training images (N, C, H, W) in [-1, 1].
        labels: Their classes (N,), integers from 0.
        folder: Folder that the release is written to.
        recipe: How to train; None is `Recipe()`.
        held_out: Images and labels whose accuracy goes on the card.

    Returns:
        The folder.
    """
    return save_release(folder, *_trained(images, labels, recipe or Recipe(), held_out))


def trained_classifier(
    images: Tensor, labels: Tensor, cache_dir: str | Path, recipe: Recipe | None = None
) -> ReleaseClassifier:
    """Classifier of these images: from the cache if it was ever trained there, else trained now.

    The cache is keyed by the content of images and labels and by the recipe, never by a path.

    Args:
        images: Real training images (N, C, H, W) in [-1, 1].
        labels: Their classes (N,), integers from 0.
        cache_dir: Folder of such classifiers.
        recipe: How to train; None is `Recipe()`.
    """
    recipe = recipe or Recipe()
    facts = content_hash(images, labels) + json.dumps(recipe.facts(), sort_keys=True)

    def train() -> Trained:
        warn(
            f"training a classifier on {len(images)} images, {recipe.iterations} iterations, once "
            f"for all runs on them; it is kept in {cache_dir}."
        )
        return _trained(images, labels, recipe)

    return ReleaseClassifier(trained_once("classifier", facts, Path(cache_dir), train))


def _trained(
    images: Tensor, labels: Tensor, recipe: Recipe, held_out: tuple[Tensor, Tensor] | None = None
) -> Trained:
    """Train a classifier; return it with its card, and with what it was trained on."""
    network = fit_classifier(images, labels, recipe)
    accuracy = None
    if held_out is not None:
        with torch.no_grad():
            predicted = network(held_out[0]).argmax(1)
        accuracy = float((predicted == held_out[1]).double().mean())
    extra = {
        "recipe": recipe.facts(),
        "trained_on": {
            "sha256": content_hash(images, labels),
            "count": len(images),
            "images": image_digests(images),
        },
        "held_out_accuracy": accuracy,
    }
    card = (
        f"# Classifier of {network.num_classes} classes at {network.image_size} pixels\n\n"
        f"Trained on {len(images)} real images (content {content_hash(images, labels)[:12]}); "
        f"accuracy on held-out images: {'not measured' if accuracy is None else f'{accuracy:.2%}'}."
        "\n\nIt judges generated images. It must not judge the images that it was trained on, "
        "whose digests are in config.yaml.\n"
    )
    return Trained({"classifier": network}, card, extra)


def fit_classifier(images: Tensor, labels: Tensor, recipe: Recipe) -> SmallClassifier:
    """Return a classifier in eval mode, trained on images (N, C, H, W) and their classes (N,).

    The global random generators are left alone.
    """
    _check(images, labels)
    rng = torch.Generator().manual_seed(recipe.seed)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(recipe.seed)
        network = SmallClassifier(
            image_size=images.shape[-1],
            image_channels=images.shape[1],
            num_classes=int(labels.max()) + 1,
            **recipe.network,
        )
    optimizer = torch.optim.Adam(network.parameters(), recipe.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.iterations)
    with torch.inference_mode(False), torch.enable_grad():
        for _ in range(recipe.iterations):
            rows = torch.randint(len(images), (recipe.batch_size,), generator=rng)
            x = _shifted(images[rows], recipe.shift_px, rng)
            x = x + recipe.noise * torch.randn(x.shape, generator=rng)
            optimizer.zero_grad()
            F.cross_entropy(network(x), labels[rows]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return network.eval()


def _shifted(images: Tensor, pixels: int, rng: torch.Generator) -> Tensor:
    """Move each image by its own whole number of pixels in both directions."""
    n, _, height, width = images.shape
    padded = F.pad(images, [pixels] * 4, mode="replicate")
    top = torch.randint(2 * pixels + 1, (n, 1), generator=rng) + torch.arange(height)
    left = torch.randint(2 * pixels + 1, (n, 1), generator=rng) + torch.arange(width)
    picked = padded[torch.arange(n)[:, None, None], :, top[:, :, None], left[:, None, :]]
    return picked.movedim(-1, 1)


def _check(images: Tensor, labels: Tensor) -> None:
    if images.ndim != 4 or labels.shape != images.shape[:1] or images.shape[-1] != images.shape[-2]:
        raise InputError(
            f"A classifier is trained on square images (N, C, S, S) and labels (N,), given shapes "
            f"{tuple(images.shape)} and {tuple(labels.shape)}; crop or label the images."
        )
    classes = sorted(set(labels.tolist()))
    if len(classes) < 2 or classes != list(range(len(classes))):
        raise InputError(
            f"A classifier needs two or more classes labelled 0, 1, 2, ... with images of each, "
            f"given the labels {classes}; relabel them."
        )


def _with_channels(images: Tensor, channels: int) -> Tensor:
    if images.shape[1] == channels:
        return images
    if images.shape[1] == 1:
        return images.expand(-1, channels, -1, -1)
    if channels == 1 and images.shape[1] == 3:
        return images.mean(1, keepdim=True)
    raise InputError(
        f"Images with {images.shape[1]} channels cannot be read by a classifier of {channels}; "
        "select or convert channels first."
    )
