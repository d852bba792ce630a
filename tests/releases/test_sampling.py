"""Images of a generator, truncated or of some classes."""

import pytest
import torch
from public_files import filled

from lit_synth.networks.biggan import BigGANGenerator
from lit_synth.networks.dcgan import DCGANGenerator
from lit_synth.networks.miner import MinedGenerator, Miner, Selector
from lit_synth.networks.stylegan2 import StyleGAN2Generator
from lit_synth.releases.sampling import sample


def test_truncation_narrows_z_and_w():
    dcgan_generator = filled(DCGANGenerator(image_size=16, latent_dim=4, width=2)).eval()
    seen = []
    dcgan_generator.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    list(sample(dcgan_generator, 4000, 0, 1000, truncation=0.5))
    z = torch.cat(seen)
    assert z.abs().max() <= 1
    assert abs(z.std().item() - 0.5 * 0.8796) < 0.01  # of a normal cut off at 2
    stylegan = filled(StyleGAN2Generator(16, 3, 5, 4, 64, 4, 2)).eval()
    whole = next(sample(stylegan, 2, 0, truncation=0.3))
    z = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    w = stylegan.w_avg + 0.3 * (stylegan.mapping(z, None) - stylegan.w_avg)
    torch.testing.assert_close(whole, stylegan.synthesis(w).clamp(-1, 1))
    mean = next(sample(stylegan, 2, 0, truncation=0))
    torch.testing.assert_close(mean[0], mean[1])


def test_classes_may_be_chosen():
    generator = filled(BigGANGenerator(64, 3, 10, 2, 5, 3, ())).eval()
    seen = []
    generator.register_forward_pre_hook(lambda _, args: seen.append(args[1]))
    list(sample(generator, 20, 0, classes=(1, 3)))
    assert set(torch.cat(seen).tolist()) == {1, 3}


def test_a_mined_gan_is_not_truncated():
    source = DCGANGenerator(16, 1, 4, 2)
    mined = MinedGenerator([source], [Miner(3, 4, [4])], Selector(1, 3), [(0, None)])
    assert next(sample(mined, 2, 0)).shape == (2, 1, 16, 16)
    with pytest.raises(ValueError, match="truncation 1"):
        next(sample(mined, 2, 0, truncation=0.5))
