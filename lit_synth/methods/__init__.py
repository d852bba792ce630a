"""The papers' methods, one file each; importing the package makes their names known to YAML."""

from lit_synth.methods.minegan import MineGAN
from lit_synth.methods.mmnets import MMNets
from lit_synth.methods.mmnets_unpaired import MMNetsUnpaired
from lit_synth.methods.sdit import SDIT
from lit_synth.methods.seg2eye import Seg2Eye
from lit_synth.methods.seg2eye_refiner import Seg2EyeRefiner
from lit_synth.methods.segmenter import Segmenter
from lit_synth.methods.sisug_mapper import SISUGMapper
from lit_synth.methods.sisug_rearranger import SISUGRearranger
from lit_synth.methods.step import StEP
from lit_synth.methods.transfer_acgan import TransferACGAN
from lit_synth.methods.transfergan import TransferGAN
from lit_synth.methods.udit import UDIT
from lit_synth.methods.udit_extractor import SemanticExtractor

__all__ = [
    "SDIT",
    "UDIT",
    "MMNets",
    "MMNetsUnpaired",
    "MineGAN",
    "SISUGMapper",
    "SISUGRearranger",
    "Seg2Eye",
    "Seg2EyeRefiner",
    "Segmenter",
    "SemanticExtractor",
    "StEP",
    "TransferACGAN",
    "TransferGAN",
]
