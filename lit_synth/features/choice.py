"""Extractors by name, as the command line and YAML files give them."""

from pathlib import Path

from lit_synth.features.base import Extractor
from lit_synth.features.classifier import ReleaseClassifier
from lit_synth.features.clip import CLIPFeatures
from lit_synth.features.dinov2 import DINOv2Features
from lit_synth.features.inception import InceptionFeatures, cached_weights
from lit_synth.features.random import RandomFeatures

CHOICES = (
    "auto (Inception if its weights are on this machine, else random), inception, random, "
    "the path of Inception weights (.pth), dinov2:PATH or clip:PATH of weights of these, or a "
    "classifier's release folder or bundled name"
)

TRANSFORMERS = {"dinov2": DINOv2Features, "clip": CLIPFeatures}


def load_extractor(name: str) -> Extractor:
    """Return the extractor called `name`, one of `CHOICES`.

    `auto` never downloads, so that it means the same on every run of one machine.
    """
    if name == "random" or (name == "auto" and not cached_weights().is_file()):
        return RandomFeatures()
    if name in ("auto", "inception"):
        return InceptionFeatures()
    kind, _, path = name.partition(":")
    if kind in TRANSFORMERS and path:
        return TRANSFORMERS[kind](path)
    if Path(name).suffix in (".pth", ".pt"):
        return InceptionFeatures(name)
    return ReleaseClassifier(name)
