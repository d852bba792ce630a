"""StyleGAN2 against its papers' formulas, in float64, and against the published tensors."""

from collections import Counter

import gan_checks
import pytest
import stylegan2_plainly as plainly
import torch

from lit_synth.contracts.generator import HasClassVectors, as_generator, mined_spaces
from lit_synth.errors import InputError
from lit_synth.networks import StyleGAN2Discriminator, StyleGAN2Generator
from lit_synth.networks.parts.minibatch import score_apart
from lit_synth.networks.parts.rebuilding import another
from lit_synth.networks.parts.waves import waves
from lit_synth.networks.stylegan2 import preset

LABEL = torch.tensor([2, 0, 2])


@torch.no_grad()
def drawn(network):
    """Weights as training starts from, N(0, 1), 100 times that where they learn so much slower."""
    for name, tensor in gan_checks.randomise(network).named_parameters():
        scale = tensor[0].numel() ** 0.5 if tensor.ndim > 1 else 1
        tensor *= 100 * scale if "mapping.body" in name else scale
    return network.eval()


def tiny_generator(num_classes=0, noise="const", clamp=None, image_size=16):
    generator = StyleGAN2Generator(
        image_size, 2, 5, 6, 64, 7, 3, num_classes, noise=noise, clamp=clamp
    )
    return drawn(generator)


def tiny_discriminator(**arguments):
    arguments = {"channel_base": 64, "channel_max": 6, "image_channels": 2, **arguments}
    return drawn(StyleGAN2Discriminator(16, **arguments))


def draw(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def assert_same(ours, plain):
    torch.testing.assert_close(ours, plain, rtol=0, atol=1e-10 * plain.abs().max().item())


@pytest.mark.parametrize("noise", ["const", "none"])
def test_generator_is_the_papers(noise):
    generator, z = tiny_generator(noise=noise), draw(3, 5)
    w = plainly.mapped(generator.mapping, z)
    ws = w[:, None].expand(-1, 6, -1)
    assert_same(generator.to_w(z), ws)
    assert_same(generator(z), plainly.synthesised(generator.synthesis, ws, noise == "const"))


def test_waves_join_z_before_it_is_normalised_and_the_mapping_learns_at_its_own_rate():
    sizes = (16, 2, 5, 6, 64, 7, 3)
    generator, z = drawn(StyleGAN2Generator(*sizes, mapping_lr=0.5, harmonics=2)), draw(3, 5)
    h = plainly.normalised(waves(z, 2))
    assert h.shape == (3, 25)
    for layer in generator.mapping.body:
        scaled = 0.5 * layer.weight / layer.weight.shape[1] ** 0.5
        h = plainly.lrelu(h @ scaled.T + 0.5 * layer.bias)
    assert_same(generator.mapping(z, None), h)


def test_classes_join_z_as_normalised_vectors():
    generator, z = tiny_generator(num_classes=4), draw(3, 5)
    vector = plainly.class_vector(generator.mapping, LABEL)
    ws = plainly.mapped(generator.mapping, z, vector)[:, None].expand(-1, 6, -1)
    assert_same(generator(z, LABEL), plainly.synthesised(generator.synthesis, ws))
    assert_same(generator.class_vectors()[LABEL], vector)
    assert_same(generator(z, vector), generator(z, LABEL))


def test_truncation_pulls_the_first_layers_to_the_mean():
    generator, z = tiny_generator(), draw(3, 5)
    w, mean = plainly.mapped(generator.mapping, z)[:, None], generator.w_avg
    pulled = (mean + 0.7 * (w - mean)).expand(-1, 6, -1)
    assert_same(generator(z, truncation=0.7), plainly.synthesised(generator.synthesis, pulled))
    cut = torch.cat([pulled[:, :2], w.expand(-1, 4, -1)], dim=1)
    ours = generator(z, truncation=0.7, truncated_layers=2)
    assert_same(ours, plainly.synthesised(generator.synthesis, cut))


def test_each_layer_takes_its_own_w():
    generator, ws = tiny_generator(image_size=32), draw(2, 8, 6)
    assert_same(generator.synthesis(ws), plainly.synthesised(generator.synthesis, ws))


def test_the_mean_of_w_follows_training_alone():
    generator, z = tiny_generator(), draw(3, 5)
    before, w = generator.w_avg.clone(), plainly.mapped(generator.mapping, z)
    generator(z)
    assert torch.equal(generator.w_avg, before)
    generator.train()(z)
    assert_same(generator.w_avg, 0.995 * before + 0.005 * w.mean(dim=0))


def test_random_noise_is_drawn_in_training_alone():
    generator, z = tiny_generator(noise="random"), draw(2, 5)
    assert torch.equal(generator(z), generator(z))
    assert_same(generator(z), tiny_generator(noise="const")(z))
    assert not torch.equal(generator.train()(z), generator(z))


@pytest.mark.parametrize("size", [4, 8, 16])
def test_split_at_a_size_equals_the_whole(size):
    generator, ws = tiny_generator(), draw(2, 6, 6)
    features, image = generator.synthesis.features(ws, size)
    assert features.shape[2:] == image.shape[2:] == (size, size)
    assert torch.equal(generator.synthesis.images(features, image, ws), generator.synthesis(ws))
    start = generator.synthesis.const.expand(2, -1, -1, -1)
    assert torch.equal(generator.synthesis(ws, start), generator.synthesis(ws))
    assert not torch.equal(generator.synthesis(ws, start + 1), generator.synthesis(ws))


@pytest.mark.parametrize("architecture", ["resnet", "skip", "orig"])
def test_discriminator_is_the_papers(architecture):
    discriminator, x = tiny_discriminator(architecture=architecture), draw(3, 2, 16, 16)
    assert_same(discriminator(x), plainly.judged(discriminator, x, group=4, channels=1))


@pytest.mark.parametrize(
    ("group", "channels", "n"), [(4, 1, 8), (8, 1, 8), (4, 2, 5), (2, 3, 3), (4, 1, 1)]
)
def test_deviation_is_of_groups_of_the_batch(group, channels, n):
    discriminator = tiny_discriminator(mbstd_group=group, mbstd_channels=channels)
    x = draw(n, 2, 16, 16)
    assert_same(discriminator(x), plainly.judged(discriminator, x, group, channels))


def test_classes_project_the_score():
    discriminator, x = tiny_discriminator(num_classes=4, class_dim=3), draw(3, 2, 16, 16)
    assert_same(discriminator(x, LABEL), plainly.judged(discriminator, x, 4, 1, LABEL))


def test_real_and_made_images_are_judged_apart():
    discriminator, x, made = tiny_discriminator(), draw(4, 2, 16, 16), draw(4, 2, 16, 16, seed=2)
    found = torch.cat(score_apart(discriminator, x, made))
    assert torch.equal(found, torch.cat([discriminator(x), discriminator(made)]))
    mixed = discriminator(torch.cat([x[:2], made[:2]]))
    assert (mixed[:2] - found[:2]).abs().min() > 1e-4


def test_clamp_bounds_every_layer_of_the_generator():
    free, bounded, w = tiny_generator(), tiny_generator(clamp=0.5), draw(2, 6)
    features, image = bounded.synthesis.features(w, 4)
    assert_same(features, free.synthesis.features(w, 4)[0].clamp(-0.5, 0.5))
    assert_same(image, free.synthesis.blocks["4"].to_rgb(features, w).clamp(-0.5, 0.5))


@pytest.mark.parametrize("architecture", ["resnet", "orig"])
def test_clamp_bounds_every_layer_of_the_discriminator(architecture):
    block = tiny_discriminator(architecture=architecture, clamp=0.5).body["16"]
    (x,) = draw(1, 2, 16, 16)
    seen = plainly.lrelu(plainly.equalised(x, block.from_rgb)).clamp(-0.5, 0.5)
    h = plainly.lrelu(plainly.equalised(seen, block.conv0)).clamp(-0.5, 0.5)
    h = plainly.lrelu(plainly.equalised(h, block.conv1, halve=True)).clamp(-0.5, 0.5)
    if architecture == "resnet":
        h = (h + plainly.equalised(seen, block.shortcut, halve=True)) / 2**0.5
    assert_same(block(None, x[None]), h[None])


def generator_tensors(size, base, layers, latent=512):
    """Shapes of the published generator's tensors, its filters aside, from its papers' plan."""
    widths = {r: min(base // r, 512) for r in (2**i for i in range(2, size.bit_length()))}
    shapes = [(latent,)] + layers * [(512, 512), (512,)] + [(512, 4, 4)]
    for r, width in widths.items():
        for before in [widths[r // 2], width] if r > 4 else [width]:
            shapes += [(width, before, 3, 3), (width,), (), (r, r), (before, 512), (before,)]
        shapes += [(3, width, 1, 1), (3,), (width, 512), (width,)]
    return Counter(shapes)


def discriminator_tensors(size, base, residual=True):
    widths = {r: min(base // r, 512) for r in (2**i for i in range(2, size.bit_length()))}
    shapes = [(widths[size], 3, 1, 1), (widths[size],)]
    for r in list(widths)[1:]:
        width, after = widths[r], widths[r // 2]
        shapes += [(width, width, 3, 3), (width,), (after, width, 3, 3), (after,)]
        shapes += [(after, width, 1, 1)] if residual else []
    return Counter([*shapes, (512, 513, 3, 3), (512,), (512, 8192), (512,), (1, 512), (1,)])


@pytest.mark.parametrize(
    ("name", "size", "base", "layers", "counts"),
    [
        # What NVIDIA's files of these two hold, and their training logs print.
        ("config-f", 1024, 32768, 8, (30_370_060, 29_012_513)),
        ("paper256", 256, 16384, 8, (24_767_458, 24_001_089)),
        ("auto", 256, 16384, 2, None),
        ("auto", 512, 32768, 2, None),
        ("cifar", 32, 32768, 2, None),
    ],
)
def test_presets_have_the_published_tensors(name, size, base, layers, counts):
    of_generator, of_discriminator = preset(name, size)
    with torch.device("meta"):
        networks = StyleGAN2Generator(**of_generator), StyleGAN2Discriminator(**of_discriminator)
    found = [Counter(tuple(t.shape) for t in net.state_dict().values()) for net in networks]
    assert found[0] == generator_tensors(size, base, layers)
    assert found[1] == discriminator_tensors(size, base, residual=name != "cifar")
    if counts:
        assert tuple(sum(p.numel() for p in net.parameters()) for net in networks) == counts


def test_presets_differ_in_what_is_not_stored():
    groups = {name: preset(name, 256)[1]["mbstd_group"] for name in ("config-f", "paper256")}
    assert groups == {"config-f": 4, "paper256": 8}
    assert preset("config-f", 256)[0]["clamp"] is None
    assert preset("cifar", 32)[1]["architecture"] == "orig"
    with pytest.raises(InputError, match="no StyleGAN2 preset 'paper'"):
        preset("paper", 256)


def test_path_length_and_penalty_can_be_differentiated():
    generator, discriminator = tiny_generator(), tiny_discriminator()
    ws = generator.to_w(draw(2, 5))
    projected = (generator.synthesis(ws) * draw(2, 2, 16, 16, seed=3)).sum()
    (slope,) = torch.autograd.grad(projected, ws, create_graph=True)
    slope.square().sum(dim=(1, 2)).sqrt().sum().backward()
    weight = generator.synthesis.blocks["8"].conv0.weight
    assert weight.grad.isfinite().all()
    assert weight.grad.abs().max() > 0
    gan_checks.check_penalty(discriminator, draw(4, 2, 16, 16))


def test_bfloat16_stays_close_and_differentiable():
    generator = StyleGAN2Generator(32, w_dim=16, latent_dim=16, channel_base=512, channel_max=16)
    discriminator = StyleGAN2Discriminator(32, channel_base=512, channel_max=16)
    gan_checks.check_bfloat16(generator.eval(), discriminator, torch.randn(4, 16))


def test_meets_the_contract_of_generators():
    generator = as_generator(another(tiny_generator(num_classes=4)))
    assert isinstance(generator, HasClassVectors)
    assert mined_spaces(generator) == {"z": 5, "w": 6, "class": 6}
    assert mined_spaces(as_generator(tiny_generator())) == {"z": 5, "w": 6}
    w = draw(3, 6)
    assert tiny_generator().synthesis(w).shape == (3, 2, 16, 16)


def test_bad_arguments_are_refused():
    with pytest.raises(InputError, match="16, 32, 64, 128, 256, 512, 1024 pixels"):
        StyleGAN2Generator(48)
    with pytest.raises(InputError, match="mbstd_channels is 5: expected a divisor of the 6"):
        tiny_discriminator(mbstd_channels=5)
    with pytest.raises(InputError, match="at 32 pixels: this synthesis network has blocks at 4, 8"):
        tiny_generator().synthesis.features(draw(1, 6), 32)
    with pytest.raises(InputError, match="got no labels"):
        tiny_generator(num_classes=4)(draw(1, 5))
