import pytest
import torch

from lit_synth.errors import InputError
from lit_synth.features import classifier
from lit_synth.features.base import extract
from lit_synth.features.classifier import (
    Recipe,
    ReleaseClassifier,
    _shifted,
    train_classifier,
    trained_classifier,
)
from lit_synth.networks.miner import Miner
from lit_synth.releases.format import save_release

QUICK = Recipe(iterations=30, batch_size=16)


def bars(n, seed=0, size=8):
    """Class 0 has a bright row, class 1 a bright column."""
    rng = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 2
    x = -0.9 + 0.1 * torch.rand(n, 1, size, size, generator=rng)
    at = torch.randint(1, size - 1, (n,), generator=rng)
    for image, label, i in zip(x, labels, at, strict=True):
        image[(0, i) if label == 0 else (0, slice(None), i)] = 0.9
    return x, labels


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bars")
    train_classifier(*bars(64), folder, QUICK, held_out=bars(40, seed=1))
    return ReleaseClassifier(folder)


def test_it_learns_and_its_release_says_how_well(trained):
    x, labels = bars(40, seed=2)
    result = extract(trained, x)
    assert (result.logits.argmax(1) == labels).float().mean() > 0.9
    assert result.features.shape == (40, 64)
    assert trained.num_classes == 2
    assert trained.release.extra["held_out_accuracy"] > 0.9
    assert trained.release.extra["recipe"] == QUICK.facts()
    assert len(trained.sha256) == 64


def test_images_of_other_sizes_and_channels_are_adapted(trained):
    x, labels = bars(20, seed=3, size=16)
    result = extract(trained, x.expand(-1, 3, -1, -1))
    assert (result.logits.argmax(1) == labels).float().mean() > 0.7


def test_images_whose_channels_mean_nothing_to_it(trained):
    with pytest.raises(InputError, match="4 channels"):
        extract(trained, bars(2)[0].expand(-1, 4, -1, -1))


def test_it_refuses_to_judge_its_training_images(trained):
    unseen = bars(10, seed=4)[0]
    trained.refuse_seen(unseen)
    with pytest.raises(InputError, match="2 of the 12 images"):
        trained.refuse_seen(torch.cat([unseen, bars(64)[0][[5, 9]]]).expand(-1, 3, -1, -1))


def test_cache_follows_content_and_recipe(tmp_path, monkeypatch):
    x, labels = bars(16)
    quick = Recipe(iterations=2)
    first = trained_classifier(x, labels, tmp_path, quick)
    monkeypatch.setattr(classifier, "fit_classifier", lambda *_: pytest.fail("trained"))
    assert trained_classifier(x.clone(), labels, tmp_path, quick).sha256 == first.sha256
    wider = Recipe(iterations=2, network={"width": 4})
    for changed in [
        (x + 0.1, labels, quick),
        (x, 1 - labels, quick),
        (x, labels, Recipe()),
        (x, labels, wider),
    ]:
        with pytest.raises(pytest.fail.Exception, match="trained"):
            trained_classifier(changed[0], changed[1], tmp_path, changed[2])


def test_default_networks_keep_their_place_in_the_cache():
    # Of what was trained before networks had settings.
    assert "network" not in Recipe().facts()
    assert Recipe(network={"slope": 0.2}).facts()["network"] == {"slope": 0.2}


def test_another_architecture(tmp_path):
    recipe = Recipe(iterations=3, network={"width": 4, "kernel_size": 5, "slope": 0.2})
    folder = train_classifier(*bars(16), tmp_path, recipe)
    network = ReleaseClassifier(folder).network
    assert network.body[0].weight.shape == (4, 1, 5, 5)
    assert extract(ReleaseClassifier(folder), bars(40)[0]).features.min() < 0
    assert [each.shape[2:] for each in network.stages(bars(2, size=16)[0])] == [(16, 16)]


def test_training_repeats_and_leaves_the_callers_randomness_alone(tmp_path):
    state = torch.get_rng_state()
    quick = Recipe(iterations=3)
    with torch.no_grad():
        hashes = [
            ReleaseClassifier(train_classifier(*bars(16), tmp_path / name, quick)).sha256
            for name in "ab"
        ]
    assert hashes[0] == hashes[1]
    assert torch.equal(torch.get_rng_state(), state)


def test_shifts_move_whole_images_by_at_most_the_given_pixels():
    x = torch.zeros(50, 2, 9, 9)
    x[:, :, 4, 4] = 1
    moved = _shifted(x, 2, torch.Generator().manual_seed(0))
    rows, columns = moved[:, 0].flatten(1).argmax(1) // 9, moved[:, 0].flatten(1).argmax(1) % 9
    assert torch.equal(moved.sum((2, 3)), torch.ones(50, 2))
    assert torch.equal(moved[:, 0], moved[:, 1])
    assert set(rows.tolist()) == set(columns.tolist()) == {2, 3, 4, 5, 6}


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.zeros(8, dtype=torch.int64), "two or more"),
        (torch.arange(8) * 2, "relabel"),
        (torch.arange(4), "labels"),
    ],
)
def test_unusable_labels(tmp_path, labels, message):
    with pytest.raises(InputError, match=message):
        train_classifier(bars(8)[0], labels, tmp_path)


def test_release_of_something_else(tmp_path):
    save_release(tmp_path, {"classifier": Miner(4, 4)}, "# A miner\n")
    with pytest.raises(InputError, match="is a Miner"):
        ReleaseClassifier(tmp_path)
