import shlex

import pytest
import torch
from jsonargparse import ArgumentParser
from torch import nn

from lit_synth.errors import InputError
from lit_synth.networks import (
    MnistCritic,
    PGANGenerator,
    ResNetCritic,
    ResNetGenerator,
    SmallCritic,
    SmallGenerator,
    SNGANCritic,
)
from lit_synth.networks.parts.initialising import (
    freeze_lowest,
    fresh_critic,
    initialise_from,
    without_labels,
)


def generator(**arguments):
    return ResNetGenerator(16, latent_dim=6, width=4, **arguments)


def randomised(network):
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    return network


def test_a_plain_copy_equals_its_source():
    source, target = randomised(generator()), generator()
    initialise_from(target, source)
    for name, tensor in source.state_dict().items():
        assert torch.equal(target.state_dict()[name], tensor), name


def test_class_wise_norms_become_copies_of_the_sources_affine():
    source = randomised(generator())
    target = generator(num_classes=3, conditioning="bnorm")
    initialise_from(target, source)
    for name, table in target.state_dict().items():
        theirs = source.state_dict()[name]
        copies = theirs.expand_as(table) if "norm" in name else theirs
        assert torch.equal(table, copies), name
    assert target.norm.weight.shape == (3, 4)
    z = torch.randn(5, 6)
    torch.testing.assert_close(target(z, torch.arange(5) % 3), source(z))
    # The copies must train apart.
    target(z, torch.zeros(5, dtype=torch.long)).square().sum().backward()
    assert target.norm.weight.grad[0].any()
    assert not target.norm.weight.grad[1:].any()


def test_label_inputs_and_the_classifier_head_stay_random():
    target = generator(num_classes=3, conditioning="concat")
    before = target.class_features.weight.clone()
    initialise_from(target, randomised(generator()))
    assert torch.equal(target.class_features.weight, before)
    critic = ResNetCritic(16, width=4, num_classes=3)
    head = critic.class_logits.weight.clone()
    source = randomised(ResNetCritic(16, width=4))
    initialise_from(critic, source)
    assert torch.equal(critic.class_logits.weight, head)
    x = torch.randn(2, 3, 16, 16)
    assert torch.equal(critic(x)[0], source(x))


def test_a_mismatch_names_the_tensor_and_both_shapes_and_changes_nothing():
    target = SmallGenerator(latent_dim=5, width=2)
    before = {name: tensor.clone() for name, tensor in target.state_dict().items()}
    with pytest.raises(InputError, match=r"'fc.weight'.*\(128, 5\).*\(128, 7\)"):
        initialise_from(target, SmallGenerator(latent_dim=7, width=2))
    assert all(torch.equal(target.state_dict()[name], t) for name, t in before.items())


def test_missing_and_left_over_tensors_are_refused():
    with pytest.raises(InputError, match=r"'body.0.norm1.running_mean'.*source has none"):
        initialise_from(generator(running_stats=True), generator())
    with pytest.raises(InputError, match=r"'class_logits.weight'.*lacks"):
        initialise_from(SmallCritic(width=2), SmallCritic(width=2, num_classes=3))


@pytest.mark.parametrize("family", [SmallCritic, ResNetCritic])
def test_a_classifying_critic_loses_its_head_and_keeps_its_scores(family):
    critic = randomised(family(16, image_channels=1, width=2, num_classes=3))
    plain = without_labels(critic)
    x = torch.randn(2, 1, 16, 16)
    assert torch.equal(plain(x), critic(x)[0])
    assert without_labels(plain) is plain


def test_a_projection_critic_loses_its_projection():
    critic = SNGANCritic(32, width=2, num_classes=3).eval()
    plain = without_labels(critic).eval()
    x, label = torch.randn(2, 3, 32, 32), torch.tensor([0, 2])
    features = critic.body(x).relu().sum(dim=(2, 3))
    projection = (critic.class_projection(label) * features).sum(dim=1)
    torch.testing.assert_close(plain(x), critic(x, label) - projection)


def test_a_critic_fed_with_labels_has_no_unconditional_form():
    with pytest.raises(InputError, match="no unconditional form"):
        without_labels(MnistCritic(width=2, num_classes=3))


def test_freezing_counts_layers_from_the_image():
    critic = SmallCritic(width=2)
    freeze_lowest(critic, 2)
    trained = {name for name, p in critic.named_parameters() if p.requires_grad}
    assert trained == {"body.4.weight", "body.4.bias", "score.weight", "score.bias"}
    resnet = ResNetCritic(16, width=2)
    freeze_lowest(resnet, 2)
    assert not any(p.requires_grad for p in resnet.body[1].parameters())
    assert all(p.requires_grad for p in resnet.body[2].parameters())


def test_freezing_more_layers_than_there_are_is_refused():
    with pytest.raises(InputError, match="from 0 to 3"):
        freeze_lowest(SmallCritic(width=2), 4)


@pytest.mark.parametrize("halvings", [2, 4, 5, 6, 8])
def test_options_build_a_critic_of_the_generators_images(halvings):
    generator = PGANGenerator([2] * (halvings + 1), 4, image_channels=1)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--model.init_args.critic", type=nn.Module)
    parsed = parser.parse_args(shlex.split(fresh_critic(generator)))
    with torch.device("meta"):
        critic = parser.instantiate(parsed).model.init_args.critic
    assert (critic.image_size, critic.image_channels) == (generator.image_size, 1)
    assert not any("BatchNorm" in type(module).__name__ for module in critic.modules())
