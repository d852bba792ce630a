"""What is done to images or features in training; importing it makes the names known to YAML."""

from lit_synth.augment.ada import ADA
from lit_synth.augment.blurred_views import BlurredViews
from lit_synth.augment.diffaugment import DiffAugment
from lit_synth.augment.feature_mix import MixUp, ReMix

__all__ = ["ADA", "BlurredViews", "DiffAugment", "MixUp", "ReMix"]
