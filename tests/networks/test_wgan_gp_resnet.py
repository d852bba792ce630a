import math

import pytest
import torch

from lit_synth.errors import InputError
from lit_synth.networks import ResNetCritic, ResNetGenerator


def parameters(network):
    return sum(p.numel() for p in network.parameters())


def conv(k, c_in, c_out, bias=True):
    return k * k * c_in * c_out + bias * c_out


def test_generator_of_64_px_has_the_papers_parameters():
    # FC 128 -> 4*4*8d; up 8d-8d, 8d-4d, 4d-2d, 2d-d; BN, conv3x3 to 3 channels; d = 64.
    total = 128 * 8192 + 8192
    for c_in, c_out in [(512, 512), (512, 256), (256, 128), (128, 64)]:
        norms = 2 * c_in + 2 * c_out
        total += norms + conv(3, c_in, c_out, bias=False) + conv(3, c_out, c_out)
        total += conv(1, c_in, c_out)
    total += 2 * 64 + conv(3, 64, 3)
    assert parameters(ResNetGenerator()) == total


def test_critic_of_64_px_has_the_papers_parameters():
    # conv3x3 3 -> d; down d-2d, 2d-4d, 4d-8d, 8d-8d; FC 4*4*8d -> 1; d = 64.
    total = conv(3, 3, 64)
    for c_in, c_out in [(64, 128), (128, 256), (256, 512), (512, 512)]:
        norms = 2 * c_in + 2 * c_in
        total += norms + conv(3, c_in, c_in, bias=False) + conv(3, c_in, c_out)
        total += conv(1, c_in, c_out)
    total += 4 * 4 * 512 + 1
    assert parameters(ResNetCritic()) == total
    assert parameters(ResNetCritic(num_classes=10)) == total + 4 * 4 * 512 * 10 + 10


@pytest.mark.parametrize("size", [16, 32, 64, 128])
@pytest.mark.parametrize("norms", [("batch", "layer"), ("none", "none")])
def test_shapes_at_every_size(size, norms):
    generator = ResNetGenerator(size, image_channels=1, latent_dim=5, width=2, norm=norms[0])
    critic = ResNetCritic(size, image_channels=1, width=2, norm=norms[1])
    x = generator(torch.randn(3, 5))
    assert x.shape == (3, 1, size, size)
    assert x.abs().max() <= 1
    assert critic(x).shape == (3,)


@pytest.mark.parametrize("conditioning", ["concat", "bnorm"])
def test_labels_change_images_and_the_critic_names_them(conditioning):
    torch.manual_seed(0)
    generator = ResNetGenerator(16, width=4, num_classes=3, conditioning=conditioning)
    for name, table in generator.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(table)
    z = torch.randn(2, 128)
    first, second = generator(z, torch.tensor([0, 0])), generator(z, torch.tensor([1, 1]))
    assert not torch.allclose(first, second)
    score, logits = ResNetCritic(16, width=4, num_classes=3)(first)
    assert score.shape == (2,)
    assert logits.shape == (2, 3)


def test_concat_equals_a_one_hot_appended_to_z():
    generator = ResNetGenerator(16, width=4, num_classes=3, conditioning="concat")
    weight = torch.cat([generator.fc.weight, generator.class_features.weight.T], dim=1)
    assert abs(weight.std().item() * math.sqrt((131 + 16 * 8) / 2) - 1) < 0.05
    z, label = torch.randn(2, 128), torch.tensor([2, 0])
    joint = torch.cat([z, torch.eye(3)[label]], dim=1) @ weight.T + generator.fc.bias
    features = generator.fc(z) + generator.class_features(label)
    torch.testing.assert_close(features, joint, rtol=1e-4, atol=1e-5)


def test_initial_weights_have_the_stated_std():
    torch.manual_seed(0)
    generator, critic = ResNetGenerator(width=16), ResNetCritic(width=16)
    for weight, he, fans in [
        (generator.body[0].conv1.weight, True, 9 * 256),
        (generator.body[0].shortcut.weight, False, 256),
        (generator.fc.weight, False, 128 + 2048),
        (generator.to_image.weight, True, 9 * 19),
        (critic.body[0].weight, False, 9 * 19),
        (critic.body[4].residual[5].weight, True, 9 * 256),
        (critic.body[4].shortcut[1].weight, False, 256),
        (critic.score.weight, False, 2049),
    ]:
        std = math.sqrt((4 if he else 2) / fans)
        assert weight.std().item() == pytest.approx(std, rel=0.1)


def test_critic_scores_an_image_apart_from_its_batch():
    critic, x = ResNetCritic(16, width=4), torch.randn(4, 3, 16, 16)
    torch.testing.assert_close(critic(x)[:1], critic(x[:1]))


def test_running_statistics_make_images_independent_of_their_batch():
    z = torch.randn(4, 128)
    generator = ResNetGenerator(16, width=4, running_stats=True)
    generator(z)
    generator.eval()
    torch.testing.assert_close(generator(z)[:2], generator(z[:2]))
    coupled = ResNetGenerator(16, width=4).eval()
    assert not torch.allclose(coupled(z)[:2], coupled(z[:2]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": 48}, "16, 32, 64, 128 pixels"),
        ({"num_classes": 3}, "conditioning='none'"),
        ({"conditioning": "bnorm"}, "num_classes=0"),
        ({"num_classes": 3, "conditioning": "bnorm", "norm": "none"}, "needs norm='batch'"),
    ],
)
def test_impossible_settings_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        ResNetGenerator(**arguments)


def test_labels_must_fit_the_generator():
    with pytest.raises(InputError, match="got no labels"):
        ResNetGenerator(16, width=4, num_classes=3, conditioning="bnorm")(torch.randn(2, 128))
    with pytest.raises(InputError, match="unconditional"):
        ResNetGenerator(16, width=4)(torch.randn(2, 128), torch.tensor([0, 1]))
