import copy

import pytest
import torch
from forkserver import server
from norm_ranks import features, run_rank, step
from torch import nn

from lit_synth.errors import InputError
from lit_synth.networks.parts.norms import BatchNorm, InstanceNorm, uncoupled


def test_without_running_statistics_eval_mode_uses_the_batch_too():
    x, norm = features(), BatchNorm(2).double()
    assert torch.equal(norm.train()(x), norm.eval()(x))
    torch.testing.assert_close(norm(x), nn.BatchNorm2d(2).double()(x))
    assert not torch.equal(norm(x)[:3], norm(x[:3]))


def test_running_statistics_follow_torch_and_make_images_independent():
    x = features()
    norm, reference = BatchNorm(2, running_stats=True).double(), nn.BatchNorm2d(2).double()
    norm(x), reference(x)
    norm.eval(), reference.eval()
    torch.testing.assert_close(norm(x), reference(x))
    torch.testing.assert_close(norm(x)[:3], norm(x[:3]))


def test_classes_have_their_own_affine_but_share_statistics():
    x, norm = features(), BatchNorm(2, num_classes=3).double()
    label = torch.tensor([0, 1, 2, 0, 1, 2])
    torch.testing.assert_close(norm(x, label), BatchNorm(2).double()(x))
    norm.weight.data[1], norm.bias.data[1] = 2.0, 5.0
    expected = BatchNorm(2).double()(x)
    expected[label == 1] = 2 * expected[label == 1] + 5
    torch.testing.assert_close(norm(x, label), expected)


def test_two_processes_equal_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with server().other_rank("norm_ranks.run_rank", str(tmp_path)):
        run_rank(0, tmp_path)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    norm = BatchNorm(2, running_stats=True).double()
    x = features()
    y, grad_x, grad_weight = step(norm, x, x.flip(0))
    torch.testing.assert_close(torch.cat([first[0], second[0]]), y)
    # Each process averages over half as many elements, hence the factor 2.
    torch.testing.assert_close(torch.cat([first[1], second[1]]) / 2, grad_x)
    torch.testing.assert_close((first[2] + second[2]) / 2, grad_weight)
    for rank in (first, second):
        torch.testing.assert_close(rank[3], norm.running_mean)
        torch.testing.assert_close(rank[4], norm.running_var)
    torch.testing.assert_close(first[5], BatchNorm(2).double()(x[:3]))


@pytest.mark.parametrize("num_classes", [0, 3])
def test_a_copy_has_the_same_state(num_classes):
    norm = BatchNorm(2, num_classes, running_stats=True)
    assert list(copy.deepcopy(norm).state_dict()) == [
        "weight",
        "bias",
        "running_mean",
        "running_var",
    ]


def test_a_batch_norm_is_refused_where_real_and_made_images_share_a_batch():
    fine = nn.Sequential(nn.Conv2d(1, 1, 3), InstanceNorm(), nn.GroupNorm(1, 1))
    assert uncoupled(fine) is fine
    for norm in (BatchNorm(1), nn.BatchNorm2d(1)):
        with pytest.raises(InputError, match=r"has a batch norm, '1', but judges real and made"):
            uncoupled(nn.Sequential(nn.Conv2d(1, 1, 3), norm))
