import pytest
import torch
from torch import nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from lit_synth.errors import InputError
from lit_synth.features import inception
from lit_synth.features.base import Extractor, Features, extract
from lit_synth.features.inception import InceptionFeatures
from lit_synth.features.random import RandomFeatures
from lit_synth.tensors.hashing import content_hash, image_digests, weights_hash
from lit_synth.tensors.pixels import as_uint8


class Probe(Extractor):
    """Reports what it is run with."""

    name, sha256, resize = "probe", "0", "none"

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)
        self.drop = nn.Dropout(0.5)
        self.chunks = []
        self.freeze()

    def forward(self, images):
        self.chunks.append(len(images))
        self.tf32 = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
        features = self.drop(self.linear(images.flatten(1)))
        return Features(features, features[:, :2])


def images(n=5, channels=1, size=2, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(n, channels, size, size, generator=rng) - 1


def test_extract_keeps_float32_eval_and_order_inside_autocast_and_training():
    probe, x = Probe(), images()
    nn.Sequential(probe).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = extract(probe, x, batch_size=2)
    expected = probe.linear(x.flatten(1))
    assert probe.chunks == [2, 2, 1]
    assert result.features.dtype == torch.float32
    assert not result.features.requires_grad
    torch.testing.assert_close(result.features, expected)
    torch.testing.assert_close(result.logits, expected[:, :2])


def test_extract_never_computes_in_tf32_and_restores_the_callers_choice():
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        probe = Probe()
        extract(probe, images())
        assert probe.tf32 == (False, "highest")
        assert torch.backends.cudnn.allow_tf32
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_a_cpu_sees_as_many_images_at_once_as_suits_the_extractor():
    probe, x = Probe(), images(40)
    whole = extract(probe, x)
    probe.at_once_on_cpu = InceptionFeatures.at_once_on_cpu
    torch.testing.assert_close(extract(probe, x), whole)
    assert probe.chunks == [40, 16, 16, 8]


def test_extract_takes_batches_of_any_size():
    probe, x = Probe(), images()
    whole, parts = extract(probe, x), extract(probe, iter([x[:1], x[1:]]), batch_size=3)
    torch.testing.assert_close(whole, parts)


def test_eight_bit_images_survive_the_range_and_back():
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(as_uint8(levels.float() / 127.5 - 1), levels)
    assert as_uint8(torch.tensor([-3.0, 3.0])).tolist() == [0, 255]


def test_hashes_follow_content():
    x, labels = images(), torch.arange(5)
    assert content_hash(x) == content_hash(x.clone())
    assert content_hash(x) != content_hash(x.flip(0))
    assert content_hash(x, labels) != content_hash(x, labels.flip(0))
    assert sorted(image_digests(x)) == sorted(image_digests(x.flip(0)))
    assert len(set(image_digests(x))) == 5


def test_random_features_are_the_same_everywhere():
    state = torch.get_rng_state()
    extractor = RandomFeatures()
    assert torch.equal(torch.get_rng_state(), state)
    assert extractor.sha256.startswith("0730e6c86056")
    assert RandomFeatures(seed=1).sha256 != extractor.sha256
    result = extract(extractor, images(3, size=16))
    assert result.features.shape == (3, 64)
    assert result.logits is None


def test_random_features_tell_contents_apart():
    extractor = RandomFeatures()
    x, noisy = images(1, size=16), images(1, size=16) + 0.02 * images(1, size=16, seed=2)
    near, far = (extract(extractor, other).features for other in (noisy, x.flip(-1)))
    anchor = extract(extractor, x).features
    assert (anchor - near).norm() < 0.2 * (anchor - far).norm()


def test_grey_and_its_rgb_copy_have_equal_random_features():
    x = images(2, size=16)
    colour = extract(RandomFeatures(), x.expand(-1, 3, -1, -1))
    torch.testing.assert_close(extract(RandomFeatures(), x).features, colour.features)


def test_images_with_four_channels():
    with pytest.raises(InputError, match="channels"):
        extract(RandomFeatures(), images(channels=4))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Untrained weights with the keys and shapes of the published ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        patch.setattr(
            "torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url",
            lambda *_, **__: None,
        )
        network = FeatureExtractorInceptionV3("untrained", ["2048"])
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save(network.state_dict(), path)
    return path, network


def test_inception_equals_torch_fidelity_on_eight_bit_images(weights):
    path, reference = weights
    state = torch.get_rng_state()
    extractor = InceptionFeatures(path)
    assert torch.equal(torch.get_rng_state(), state)
    x = torch.randint(256, (2, 3, 20, 20), dtype=torch.uint8)
    result = extract(extractor, x.float() / 127.5 - 1)
    torch.testing.assert_close(result.features, reference(x)[0])
    assert len(extractor.sha256) == 64
    assert not any(p.requires_grad for p in extractor.parameters())


def test_inception_without_weights_says_where_to_put_them(tmp_path, monkeypatch):
    def offline(*_):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    with pytest.raises(InputError, match="save it as") as error:
        InceptionFeatures()
    assert str(inception.cached_weights()) in str(error.value)
    assert str(tmp_path) in str(error.value)


def test_inception_weights_never_run_code(tmp_path):
    class Exploit:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"weight": Exploit()}, tmp_path / "evil.pth")
    with pytest.raises(InputError, match="does not hold"):
        InceptionFeatures(tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()


def test_weights_hash_follows_values_and_names():
    network = nn.Linear(2, 2)
    before = weights_hash(network)
    assert before == weights_hash(network)
    with torch.no_grad():
        network.weight[0, 0] += 1e-3
    assert weights_hash(network) != before
