"""Perceptual distances: LPIPS as its authors' package, and what any such distance must do."""

import lpips
import pytest
import torch
from torchvision.models import alexnet

from lit_synth.errors import InputError
from lit_synth.features import perceptual
from lit_synth.features.perceptual import LPIPS, BundledDistance, load_perceptual


def images(n=4, channels=3, size=32, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(n, channels, size, size, generator=rng) - 1


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """AlexNet with random weights."""
    path = tmp_path_factory.mktemp("weights") / perceptual.ALEXNET
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(alexnet().state_dict(), path)
    return path


@pytest.mark.filterwarnings("ignore:.*pretrained.*", "ignore:.*weight enum.*")
def test_lpips_equals_the_package_of_its_authors(weights):
    state = torch.get_rng_state()
    ours = LPIPS(weights)
    assert torch.equal(torch.get_rng_state(), state)
    theirs = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    trained = torch.load(weights)
    for name, each in theirs.net.named_parameters():
        each.data = trained[f"features.{name.partition('.')[2]}"]
    a, b = images(size=64), images(size=64, seed=1)
    with torch.no_grad():
        expected = theirs(a, b).flatten()
    assert expected.min() > 0
    torch.testing.assert_close(ours.distance(a, b), expected, rtol=1e-4, atol=1e-6)
    assert ours.distance(images(size=32), images(size=32, seed=1)).isfinite().all()


def test_the_bundled_distance_written_out():
    measure, (a, b) = BundledDistance(), (images(1), images(1, seed=1))
    expected = 0.0
    for left, right in zip(measure.network.stages(a), measure.network.stages(b), strict=True):
        units = [each.double() / each.double().norm(dim=1, keepdim=True) for each in (left, right)]
        squares = (units[0] - units[1]).nan_to_num().square().sum(1)
        expected += float(squares.mean())
    assert float(measure.distance(a, b)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("channels", "size"), [(1, 16), (3, 16), (3, 48)])
def test_it_is_a_distance_that_grows_with_the_change(channels, size):
    measure, x = BundledDistance(), images(8, channels, size)
    noise = images(8, channels, size, seed=1)
    found = [measure.distance(x, x + share * noise).mean() for share in (0, 0.01, 0.1, 1)]
    assert found[0] == 0
    assert found == sorted(found)
    assert torch.equal(measure.distance(x, noise), measure.distance(noise, x))


def test_grey_is_its_rgb_copy():
    measure, x, y = BundledDistance(), images(2, 1), images(2, 1, seed=1)
    rgb = [each.expand(-1, 3, -1, -1) for each in (x, y)]
    torch.testing.assert_close(measure.distance(x, y), measure.distance(*rgb))


def test_nothing_is_downloaded(tmp_path, monkeypatch, weights):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *_: pytest.fail("downloads"))
    assert isinstance(load_perceptual(), BundledDistance)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / perceptual.ALEXNET).write_bytes(weights.read_bytes())
    assert isinstance(load_perceptual(), LPIPS)


def test_what_cannot_be_compared(tmp_path):
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match="torchvision's AlexNet"):
        LPIPS(tmp_path / "other.pth")
    with pytest.raises(InputError, match="8x8 pixels are too small"):
        BundledDistance().embed(images(size=8))
