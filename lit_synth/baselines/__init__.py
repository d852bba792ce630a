"""What the papers compare with, under the same contract, one file each."""

from lit_synth.baselines.bicyclegan import BicycleGAN
from lit_synth.baselines.bsa import BSA
from lit_synth.baselines.cyclegan import CycleGAN
from lit_synth.baselines.dgn_am import DGNAM
from lit_synth.baselines.drit import DRIT
from lit_synth.baselines.icgan import IcGAN
from lit_synth.baselines.inade import INADE
from lit_synth.baselines.latent_regression import LatentRegression
from lit_synth.baselines.munit import MUNIT
from lit_synth.baselines.oasis import OASIS
from lit_synth.baselines.pix2pix import Pix2Pix
from lit_synth.baselines.ppgn import PPGN
from lit_synth.baselines.rejection import Rejection
from lit_synth.baselines.spade import SPADE
from lit_synth.baselines.stargan import StarGAN
from lit_synth.baselines.stargan_modalities import StarGANModalities
from lit_synth.baselines.stargan_v2 import StarGANv2
from lit_synth.baselines.two_pix2pix import TwoPix2Pix
from lit_synth.baselines.vae import VAE
from lit_synth.baselines.wgan_gp import WGANGP

__all__ = [
    "BSA",
    "DGNAM",
    "DRIT",
    "INADE",
    "MUNIT",
    "OASIS",
    "PPGN",
    "SPADE",
    "VAE",
    "WGANGP",
    "BicycleGAN",
    "CycleGAN",
    "IcGAN",
    "LatentRegression",
    "Pix2Pix",
    "Rejection",
    "StarGAN",
    "StarGANModalities",
    "StarGANv2",
    "TwoPix2Pix",
]
