"""What the papers compare with, under the same contract, one file each."""

from lit_synth.baselines.wgan_gp import WGANGP

__all__ = ["WGANGP"]
