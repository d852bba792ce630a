"""What happens around training; importing the package makes the names known to YAML."""

import pytorch_lightning as pl

from lit_synth.callbacks.checkpoint import Checkpoint
from lit_synth.callbacks.ema import EMA
from lit_synth.callbacks.evaluate import Evaluate
from lit_synth.callbacks.labels import Labels
from lit_synth.callbacks.log_terms import LogTerms
from lit_synth.callbacks.nan_sentinel import NaNSentinel
from lit_synth.callbacks.overfitting import Overfitting
from lit_synth.callbacks.prediction_writers import ImageWriter
from lit_synth.callbacks.progress import TrainingProgress
from lit_synth.callbacks.release_writer import ReleaseWriter
from lit_synth.callbacks.report import Report
from lit_synth.callbacks.sample_grid import SampleGrid
from lit_synth.callbacks.shapes import Shapes

__all__ = [
    "EMA",
    "Checkpoint",
    "Evaluate",
    "ImageWriter",
    "Labels",
    "LogTerms",
    "NaNSentinel",
    "Overfitting",
    "ReleaseWriter",
    "Report",
    "SampleGrid",
    "Shapes",
    "TrainingProgress",
    "always_on",
]


def always_on() -> list[pl.Callback]:
    """Return the callbacks that every run has without asking, in the order in which they act."""
    checks = [Shapes(), Labels(), NaNSentinel()]
    return [*checks, LogTerms(), TrainingProgress(), ReleaseWriter(), Report()]
