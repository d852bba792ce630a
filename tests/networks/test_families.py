"""Shapes, ranges and defining properties of the smaller families."""

import pytest
import torch
import torch.nn.functional as F

from lit_synth.errors import InputError
from lit_synth.losses.penalties import gradient_penalty
from lit_synth.networks import (
    ConvEncoder,
    Miner,
    MnistCritic,
    MnistGenerator,
    SmallClassifier,
    SmallCritic,
    SmallGenerator,
    SNGANCritic,
    SNGANGenerator,
)


def parameters(network):
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(("size", "extra"), [(16, 0), (32, 1)])
def test_small_pair_has_the_stated_layers(size, extra):
    generator, critic = SmallGenerator(size), SmallCritic(size)
    total = 32 * 2048 + 2048 + extra * (9 * 128 * 128 + 128)
    total += 9 * 128 * 64 + 64 + 9 * 64 * 32 + 32 + 9 * 32 + 1
    assert parameters(generator) == total
    total = 9 * 32 + 32 + 16 * 32 * 64 + 64 + 16 * 64 * 128 + 128 + 2048 + 1
    assert parameters(critic) == total + extra * (16 * 128 * 128 + 128)
    x = generator(torch.randn(2, 32))
    assert x.shape == (2, 1, size, size)
    assert x.abs().max() <= 1
    assert critic(x).shape == (2,)


def test_small_generator_equals_its_plain_statement():
    torch.manual_seed(0)
    generator, z = SmallGenerator(width=4).double(), torch.randn(3, 32, dtype=torch.float64)
    h = F.leaky_relu(generator.fc(z).view(3, 16, 4, 4), 0.2)
    for conv in (generator.body[1], generator.body[3]):
        h = h.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        h = F.leaky_relu(F.conv2d(h, conv.weight, conv.bias, padding=1), 0.2)
    torch.testing.assert_close(generator(z), generator.to_image(h).tanh())


def test_small_conditional_pair_uses_and_names_labels():
    generator = SmallGenerator(width=4, num_classes=3)
    z = torch.randn(2, 32)
    x = generator(z, torch.tensor([0, 1]))
    assert not torch.allclose(x, generator(z, torch.tensor([1, 2])))
    score, logits = SmallCritic(width=4, num_classes=3)(x)
    assert score.shape == (2,)
    assert logits.shape == (2, 3)
    with pytest.raises(InputError, match="got no labels"):
        generator(z)


def test_small_pair_refuses_other_sizes():
    with pytest.raises(InputError, match="image_size is 28"):
        SmallGenerator(28)


@pytest.mark.parametrize("num_classes", [0, 10])
def test_mnist_pair_has_the_papers_layers(num_classes):
    generator = MnistGenerator(num_classes=num_classes)
    critic = MnistCritic(num_classes=num_classes)
    total = (128 + num_classes) * 4096 + 4096
    total += 25 * 256 * 128 + 128 + 25 * 128 * 64 + 64 + 25 * 64 + 1
    assert parameters(generator) == total
    total = 25 * (1 + num_classes) * 64 + 64 + 25 * 64 * 128 + 128 + 25 * 128 * 256 + 256
    assert parameters(critic) == total + 4096 + 1
    label = [torch.tensor([0, 9])] if num_classes else []
    x = generator(torch.randn(2, 128), *label)
    assert x.shape == (2, 1, 28, 28)
    assert x.min() >= -1
    assert x.max() <= 1
    assert critic(x, *label).shape == (2,)


def test_mnist_critic_sees_labels():
    critic, x = MnistCritic(width=4, num_classes=3), torch.rand(1, 1, 28, 28)
    assert critic(x, torch.tensor([0])) != critic(x, torch.tensor([1]))


def test_mnist_critics_penalty_is_the_papers_in_pixels():
    """With 20 for lambda in [-1, 1], twice the loss of a critic of pixels with the paper's 10."""
    torch.manual_seed(0)
    critic = MnistCritic(width=2).double()
    real, fake = torch.rand(2, 3, 1, 28, 28, dtype=torch.float64)  # the paper's pixels
    alpha = torch.rand(3, 1, 1, 1, dtype=torch.float64)

    def papers(pixels):
        return critic.score(critic.body(pixels))[:, 0]

    mix = (alpha * real + (1 - alpha) * fake).requires_grad_()
    (slope,) = torch.autograd.grad(papers(mix).sum(), mix)
    penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
    loss = papers(fake).mean() - papers(real).mean() + 10 * penalty
    x, x_fake = 2 * real - 1, 2 * fake - 1
    ours = critic(x_fake).mean() - critic(x).mean()
    ours = ours + 20 * gradient_penalty(critic, x, x_fake, alpha)
    torch.testing.assert_close(ours, 2 * loss)


@pytest.mark.parametrize("build", [SmallGenerator, MnistGenerator])
def test_a_class_vector_stands_for_its_label(build):
    generator, z = build(width=4, latent_dim=8, num_classes=3), torch.randn(2, 8)
    vectors = generator.class_vectors()
    assert torch.equal(generator(z, vectors[[2, 0]]), generator(z, torch.tensor([2, 0])))


@pytest.mark.parametrize("size", [32, 64, 128])
@pytest.mark.parametrize("num_classes", [0, 3])
def test_sngan_shapes(size, num_classes):
    generator = SNGANGenerator(size, latent_dim=5, width=2, num_classes=num_classes)
    critic = SNGANCritic(size, width=2, num_classes=num_classes)
    label = [torch.tensor([0, 2])] if num_classes else []
    x = generator(torch.randn(2, 5), *label)
    assert x.shape == (2, 3, size, size)
    assert critic(x, *label).shape == (2,)


def test_sngan_of_128_px_has_the_papers_channels():
    generator, critic = SNGANGenerator(width=4), SNGANCritic(width=4)
    assert [block.conv2.out_channels for block in generator.body] == [64, 32, 16, 8, 4]
    assert generator.fc.out_features == 4 * 4 * 64
    shortcuts = [block.shortcut[1].out_channels for block in list(critic.body)[:-1]]
    assert shortcuts == [4, 8, 16, 32, 64]
    assert critic.score.in_features == 64


def test_every_sngan_critic_layer_has_spectral_norm_one():
    torch.manual_seed(0)
    critic = SNGANCritic(32, width=4, num_classes=3)
    x = torch.randn(2, 3, 32, 32)
    for _ in range(30):
        critic(x, torch.tensor([0, 1]))
    critic.eval()
    layers = [layer for layer in critic.modules() if hasattr(layer, "parametrizations")]
    assert len(layers) == 3 + 2 * 3 + 2 + 1 + 1
    for layer in layers:
        norm = torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2)
        torch.testing.assert_close(norm, torch.tensor(1.0), rtol=0.02, atol=0)


@pytest.mark.parametrize("hidden", [(), (32, 64), (64, 128, 256)])
@pytest.mark.parametrize("pixel_norm", [False, True])
def test_mined_latents_start_with_mean_zero_and_unit_variance(hidden, pixel_norm):
    torch.manual_seed(0)
    miner = Miner(8, 16, hidden, pixel_norm)
    std, mean = torch.std_mean(miner(torch.randn(20000, 8)), dim=0)
    torch.testing.assert_close(std, torch.ones(16), atol=0.06, rtol=0)
    torch.testing.assert_close(mean, torch.zeros(16), atol=0.06, rtol=0)


def test_an_orthogonal_miner_is_an_isometry_that_starts_like_vectors():
    torch.manual_seed(0)
    miner, u = Miner(8, 8, (8, 8), orthogonal=True), torch.randn(5, 8)
    assert [type(layer).__name__ for layer in miner.body] == ["ParametrizedLinear"] * 2
    torch.testing.assert_close(miner(u).norm(dim=1), u.norm(dim=1))
    start, vectors = miner(u), 3 * torch.randn(100, 8) + 5
    miner.start_like(vectors)
    torch.testing.assert_close(miner(u), start * vectors.std(0, correction=0) + vectors.mean(0))


def test_building_a_miner_draws_weights_alone_from_the_global_rng():
    torch.manual_seed(0)
    first, after = Miner(4, 4, (8,)), torch.rand(1)
    torch.manual_seed(0)
    assert torch.equal(Miner(4, 4, (8,)).to_latent.weight, first.to_latent.weight)
    assert torch.equal(torch.rand(1), after)


@pytest.mark.parametrize("size", [8, 16, 28, 32])
def test_classifier_shapes(size):
    classifier = SmallClassifier(size, image_channels=3, num_classes=5, width=4, feature_dim=7)
    x = torch.randn(2, 3, size, size)
    assert classifier(x).shape == (2, 5)
    assert classifier.features(x).shape == (2, 7)
    torch.testing.assert_close(classifier(x), classifier.classify(classifier.features(x)))


def test_classifier_refuses_tiny_images():
    with pytest.raises(InputError, match="at least 8"):
        SmallClassifier(4)


def test_encoder_starts_with_unit_variance_and_matches_the_small_critic():
    encoder, critic = ConvEncoder(width=4), SmallCritic(width=4)
    encoder.body.load_state_dict(critic.body.state_dict())
    mu, logvar = encoder(torch.randn(3, 1, 16, 16))
    assert mu.shape == (3, 32)
    assert torch.equal(logvar, torch.zeros(3, 32))
