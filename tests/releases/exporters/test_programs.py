"""Programs for inference draw what the networks draw, or are not written."""

import pytest
from public_files import filled

from lit_synth.networks.dcgan import DCGANGenerator
from lit_synth.networks.miner import MinedGenerator, Miner, Selector
from lit_synth.networks.pgan import PGANGenerator
from lit_synth.networks.stylegan2 import StyleGAN2Generator
from lit_synth.networks.unet import UNet
from lit_synth.releases.exporters import programs


@pytest.mark.parametrize("family", ["stylegan2", "pgan", "unet"])
def test_programs_of_every_kind(tmp_path, family, monkeypatch):
    monkeypatch.setattr(programs, "TRANSLATED_PX", 16)
    networks = {
        "stylegan2": StyleGAN2Generator(16, 3, 5, 4, 64, 4, 2, 3),
        "pgan": PGANGenerator([4, 4, 2], 5),
        "unet": UNet(image_size=16, width=2),
    }
    generator = filled(networks[family]).eval()
    assert programs.export_program(generator, tmp_path / "g.pt2", onnx=False) < 1e-4


def test_a_program_that_differs_is_not_written(tmp_path, monkeypatch):
    generator = filled(DCGANGenerator(16, 3, 4, 2)).eval()
    monkeypatch.setattr(programs, "CLOSE", -1.0)
    with pytest.raises(ValueError, match="differs from the release"):
        programs.export_program(generator, tmp_path / "g.pt2", onnx=False)
    assert not (tmp_path / "g.pt2").exists()


def test_what_cannot_be_traced_is_named(tmp_path):
    sources = [DCGANGenerator(16, 1, 4, 2) for _ in range(2)]
    miners = [Miner(3, 4, [4]) for _ in sources]
    mined = MinedGenerator(sources, miners, Selector(2, 3), [(0, None), (1, None)]).eval()
    with pytest.raises(ValueError, match="cannot trace a MinedGenerator"):
        programs.export_program(mined, tmp_path / "g.pt2", onnx=False)
