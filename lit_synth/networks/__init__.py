"""Architectures, one file per family, injected into methods by class path."""

from lit_synth.networks.classifier import SmallClassifier
from lit_synth.networks.dcgan_mnist import MnistCritic, MnistGenerator
from lit_synth.networks.miner import Miner
from lit_synth.networks.patchgan import PatchDiscriminator
from lit_synth.networks.resnet_translator import ResNetDecoder, ResNetEncoder, ResNetTranslator
from lit_synth.networks.segnet import ImageDecoder, SegNet, SegNetDecoder, SegNetEncoder
from lit_synth.networks.small import SmallCritic, SmallGenerator
from lit_synth.networks.sngan import SNGANCritic, SNGANGenerator
from lit_synth.networks.unet import UNet
from lit_synth.networks.vae import ConvEncoder
from lit_synth.networks.wgan_gp_resnet import ResNetCritic, ResNetGenerator

__all__ = [
    "ConvEncoder",
    "ImageDecoder",
    "Miner",
    "MnistCritic",
    "MnistGenerator",
    "PatchDiscriminator",
    "ResNetCritic",
    "ResNetDecoder",
    "ResNetEncoder",
    "ResNetGenerator",
    "ResNetTranslator",
    "SNGANCritic",
    "SNGANGenerator",
    "SegNet",
    "SegNetDecoder",
    "SegNetEncoder",
    "SmallClassifier",
    "SmallCritic",
    "SmallGenerator",
    "UNet",
]
