"""SISUG's networks: R against its attention written out, K-means, and what is refused."""

import pytest
import torch
import torch.nn.functional as F

from lit_synth.errors import InputError
from lit_synth.networks.part_segmenter import PartSegmenter
from lit_synth.networks.parts.inverting import inverted
from lit_synth.networks.proxy_masks import ProxyMasks
from lit_synth.networks.rearranger import Rearranger, place_code
from lit_synth.networks.stylegan2 import StyleGAN2Generator
from lit_synth.networks.unet_mapper import UNetMapper


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def features(n=2, channels=6, side=4):
    return torch.randn(n, channels, side, side, generator=rng(), dtype=torch.float64)


def test_with_identity_attention_it_returns_the_features():
    torch.manual_seed(0)
    r, f = Rearranger(6, 3, 3, 8, 16).double(), features()
    r.deviation.copy_(torch.rand(6) + 0.5)
    skip = features(channels=3)
    places = 100 * torch.eye(16, dtype=torch.float64).view(1, 16, 4, 4).expand(2, -1, -1, -1)
    r.ask = lambda _: places
    r.key.forward = lambda _: places
    laid_out, image = r(f, skip, torch.zeros(2, 4, 4, dtype=torch.int64))
    torch.testing.assert_close(laid_out, f)
    torch.testing.assert_close(image, skip)


def test_at_the_start_it_is_the_mean_weighted_by_the_softmax():
    torch.manual_seed(0)
    r, f, skip = Rearranger(6, 3, 3, 8, 5).double(), features(), features(channels=3)
    mask = torch.randint(3, (2, 4, 4), generator=rng())
    with torch.no_grad():
        laid_out, image = r(f, skip, mask)
        q, k = r.ask(mask).flatten(2), r.key(f).flatten(2)
    for n in range(2):
        for place in range(16):
            weights = torch.tensor(
                [q[n, :, place].dot(k[n, :, other]) / 5**0.5 for other in range(16)]
            )
            weights = (weights.exp() / weights.exp().sum()).double()
            for got, values in ((laid_out, f), (image, skip)):
                mean = (values[n].flatten(1) * weights).sum(1)
                torch.testing.assert_close(got[n].flatten(1)[:, place], mean, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("way", "expected"), [("keep", 1.0), ("drop", 0.0)])
def test_the_skip_is_kept_or_dropped(way, expected):
    torch.manual_seed(0)
    r, skip = Rearranger(6, 3, 3, 8, 4, skip=way).double(), features(channels=3)
    _, image = r(features(), skip, torch.zeros(2, 4, 4, dtype=torch.int64))
    assert torch.equal(image, expected * skip)


def test_labels_are_probabilities_of_one():
    torch.manual_seed(0)
    r, f, skip = Rearranger(6, 3, 3, 8, 4).double(), features(), features(channels=3)
    mask = torch.randint(3, (2, 4, 4), generator=rng())
    soft = F.one_hot(mask, 3).movedim(-1, 1).double()
    torch.testing.assert_close(r(f, skip, soft), r(f, skip, mask))


def test_every_place_has_a_code_of_its_own():
    code = place_code(torch.zeros(1, 16, 16, 16)).flatten(1).T
    assert torch.cdist(code, code).add(torch.eye(256) * 9).min() > 0.05


@pytest.mark.parametrize("spherical", [True, False])
def test_k_means_finds_the_clusters_and_labels_the_nearest(spherical):
    centres = torch.tensor([[4.0, 0, 0], [0, 4.0, 0], [0, 0, 4.0]])
    truth = torch.randint(3, (8, 4, 4), generator=rng())
    f = centres[truth].movedim(-1, 1) + 0.1 * torch.randn(8, 3, 4, 4, generator=rng(1))
    proxy = ProxyMasks(3, 3, spherical)
    proxy.fit(f, rng())
    labels = proxy(f)
    names = [labels[truth == k].mode().values.item() for k in range(3)]
    assert sorted(names) == [0, 1, 2]
    assert torch.equal(torch.tensor(names)[truth], labels)
    unit = f / f.movedim(1, 0).flatten(1).std(1)[:, None, None]
    rows = unit.movedim(1, -1).flatten(0, 2)
    if spherical:
        rows = rows / rows.norm(dim=1, keepdim=True)
    slow = torch.stack([(rows - c).square().sum(1) for c in proxy.centroids]).argmin(0)
    assert torch.equal(labels.flatten(), slow)
    assert torch.equal(proxy.likeness(f).argmax(1), labels)
    for k in range(3):
        middle = rows[labels.flatten() == k].mean(0)
        middle = middle / middle.norm() if spherical else middle
        torch.testing.assert_close(proxy.centroids[k], middle, rtol=1e-4, atol=1e-5)


def test_clusters_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="9 clusters are asked for from 8 samples"):
        ProxyMasks(3, 9).fit(torch.randn(8, 3, 4, 4), rng())
    with pytest.raises(InputError, match="too alike"):
        ProxyMasks(3, 4).fit(torch.ones(8, 3, 4, 4), rng())
    with pytest.raises(InputError, match="at least 2"):
        ProxyMasks(3, 1)


@pytest.mark.parametrize("size", [4, 16, 32])
def test_a_unet_makes_masks_of_its_size(size):
    net = UNetMapper(5, size, 32, 3, 64, 8)
    assert net(torch.zeros(2, 3, 32, 32)).shape == (2, 5, size, size)
    with pytest.raises(InputError, match="resize them"):
        net(torch.zeros(2, 3, 16, 16))
    with pytest.raises(InputError, match="powers of two"):
        UNetMapper(5, 64, 32)


def test_a_part_segmenter_enlarges_before_or_after_its_first_convolution_alike():
    torch.manual_seed(0)
    net = PartSegmenter([3, 4], 5, 6).double()
    pyramid = [features(2, 3, 4), features(2, 4, 8)]
    unit = [x / (x.square().mean(1, True) + 1e-8).sqrt() for x in pyramid]
    wide = [F.interpolate(x, size=(8, 8), mode="bilinear") for x in unit]
    h = sum(F.conv2d(x, j.weight, j.bias) for x, j in zip(wide, net.joins, strict=True))
    slow = net.last(net.conv(h.relu()).relu())
    torch.testing.assert_close(net(pyramid), slow)


def test_a_pyramid_ends_in_what_the_image_is_made_of_and_a_split_gives_it_back():
    g = StyleGAN2Generator(16, 3, 6, 8, 64, 8, 2).eval()
    w = g.to_w(torch.randn(2, 6, generator=rng()))
    pyramid = g.synthesis.pyramid(w)
    assert [f.shape[-1] for f in pyramid] == [4, 8, 16]
    for f in pyramid:
        split, image = g.synthesis.features(w, f.shape[-1])
        assert torch.equal(split, f)
        assert torch.equal(g.synthesis.images(split, image, w), g.synthesis(w))


def test_inversion_comes_nearer_to_its_images():
    torch.manual_seed(0)
    g = StyleGAN2Generator(16, 3, 6, 8, 64, 8, 2).eval().requires_grad_(False)
    images = g(torch.randn(2, 6, generator=rng(3)))
    candidates = g.to_w(torch.randn(8, 6, generator=rng(4)))
    start, end = (
        (g.synthesis(inverted(g.synthesis, images, candidates, steps, 0.1)) - images).abs().mean()
        for steps in (1, 60)
    )
    assert end < 0.6 * start


def test_attention_may_start_on_the_features_of_the_cluster_that_is_asked_for():
    torch.manual_seed(0)
    r, truth = Rearranger(6, 3, 3, 8, 8).double(), torch.randint(3, (1, 4, 4), generator=rng())
    centroids = 3 * torch.eye(6, dtype=torch.float64)[:3]
    f = 2 * centroids[truth].movedim(-1, 1)
    r.attend(centroids)
    mask = torch.randint(3, (1, 4, 4), generator=rng(1))
    laid_out, _ = r(f, features(1, 3), mask)
    wanted = 2 * centroids[mask].movedim(-1, 1)
    assert (laid_out - wanted).abs().mean() < 0.2 * (f.mean((2, 3), True) - wanted).abs().mean()
    with pytest.raises(InputError, match="at least the 9 clusters"):
        Rearranger(6, 9, 3, 8, 8).attend(centroids)
