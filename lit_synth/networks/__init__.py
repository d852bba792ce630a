"""Architectures, one file per family, injected into methods by class path."""

from lit_synth.networks.bicyclegan import (
    BicycleGANDiscriminator,
    BicycleGANEncoder,
    BicycleGANGenerator,
)
from lit_synth.networks.biggan import BigGANCritic, BigGANGenerator
from lit_synth.networks.classifier import SmallClassifier
from lit_synth.networks.dcgan import DCGANCritic, DCGANGenerator
from lit_synth.networks.dcgan_mnist import MnistCritic, MnistGenerator
from lit_synth.networks.deeplab import DeepLab
from lit_synth.networks.drit import (
    DRITAttributeEncoder,
    DRITContentDiscriminator,
    DRITContentEncoder,
    DRITGenerator,
    DRITSharedLayer,
)
from lit_synth.networks.extractor import ConvBackbone, ImageNetBackbone, VGGFaceBackbone
from lit_synth.networks.icgan import IcGANDiscriminator, IcGANEncoder, IcGANGenerator
from lit_synth.networks.inade import INADEGenerator
from lit_synth.networks.miner import Miner
from lit_synth.networks.munit import (
    ContentEncoder,
    MultiScaleDiscriminator,
    StyleDecoder,
    StyleEncoder,
)
from lit_synth.networks.oasis import OASISDiscriminator, OASISGenerator
from lit_synth.networks.part_segmenter import PartSegmenter
from lit_synth.networks.patchgan import PatchDiscriminator
from lit_synth.networks.pgan import PGANCritic, PGANGenerator
from lit_synth.networks.proxy_masks import ProxyMasks
from lit_synth.networks.rearranger import Rearranger
from lit_synth.networks.resnet_translator import ResNetDecoder, ResNetEncoder, ResNetTranslator
from lit_synth.networks.sdit import SDITDiscriminator, SDITGenerator
from lit_synth.networks.seg2eye import Seg2EyeEncoder, Seg2EyeGenerator
from lit_synth.networks.segnet import ImageDecoder, SegNet, SegNetDecoder, SegNetEncoder
from lit_synth.networks.small import SmallCritic, SmallGenerator
from lit_synth.networks.sngan import SNGANCritic, SNGANGenerator
from lit_synth.networks.spade import SPADEDiscriminator, SPADEEncoder, SPADEGenerator
from lit_synth.networks.stargan import StarGANDiscriminator, StarGANGenerator
from lit_synth.networks.stargan_v2 import (
    StarGANv2Discriminator,
    StarGANv2Encoder,
    StarGANv2Generator,
    StarGANv2Mapping,
)
from lit_synth.networks.step import (
    StEPDiscriminator,
    StEPEncoder,
    StEPGenerator,
    StEPMapper,
)
from lit_synth.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from lit_synth.networks.unet import UNet
from lit_synth.networks.unet_mapper import UNetMapper
from lit_synth.networks.vae import ConvEncoder
from lit_synth.networks.wgan_gp_resnet import ResNetCritic, ResNetGenerator

__all__ = [
    "BicycleGANDiscriminator",
    "BicycleGANEncoder",
    "BicycleGANGenerator",
    "BigGANCritic",
    "BigGANGenerator",
    "ContentEncoder",
    "ConvBackbone",
    "ConvEncoder",
    "DCGANCritic",
    "DCGANGenerator",
    "DRITAttributeEncoder",
    "DRITContentDiscriminator",
    "DRITContentEncoder",
    "DRITGenerator",
    "DRITSharedLayer",
    "DeepLab",
    "INADEGenerator",
    "IcGANDiscriminator",
    "IcGANEncoder",
    "IcGANGenerator",
    "ImageDecoder",
    "ImageNetBackbone",
    "Miner",
    "MnistCritic",
    "MnistGenerator",
    "MultiScaleDiscriminator",
    "OASISDiscriminator",
    "OASISGenerator",
    "PGANCritic",
    "PGANGenerator",
    "PartSegmenter",
    "PatchDiscriminator",
    "ProxyMasks",
    "Rearranger",
    "ResNetCritic",
    "ResNetDecoder",
    "ResNetEncoder",
    "ResNetGenerator",
    "ResNetTranslator",
    "SDITDiscriminator",
    "SDITGenerator",
    "SNGANCritic",
    "SNGANGenerator",
    "SPADEDiscriminator",
    "SPADEEncoder",
    "SPADEGenerator",
    "Seg2EyeEncoder",
    "Seg2EyeGenerator",
    "SegNet",
    "SegNetDecoder",
    "SegNetEncoder",
    "SmallClassifier",
    "SmallCritic",
    "SmallGenerator",
    "StEPDiscriminator",
    "StEPEncoder",
    "StEPGenerator",
    "StEPMapper",
    "StarGANDiscriminator",
    "StarGANGenerator",
    "StarGANv2Discriminator",
    "StarGANv2Encoder",
    "StarGANv2Generator",
    "StarGANv2Mapping",
    "StyleDecoder",
    "StyleEncoder",
    "StyleGAN2Discriminator",
    "StyleGAN2Generator",
    "UNet",
    "UNetMapper",
    "VGGFaceBackbone",
]
