import copy
from datetime import timedelta

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from lit_synth.networks.norms import BatchNorm


def features():
    torch.manual_seed(0)
    return 3 * torch.randn(6, 2, 4, 4, dtype=torch.float64) + 1


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


def step(norm, x, target):
    """One forward and backward; gradients are those of the mean loss over all processes."""
    x = x.clone().requires_grad_()
    y = norm(x)
    (y * target).square().mean().backward()
    return y.detach(), x.grad, norm.weight.grad


def run_rank(rank, folder):
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/store",
        rank=rank,
        world_size=2,
        timeout=timedelta(minutes=5),
    )
    x, target = features(), features().flip(0)
    norm = BatchNorm(2, running_stats=True).double()
    mine = slice(3 * rank, 3 * rank + 3)
    result = [*step(norm, x[mine], target[mine]), norm.running_mean, norm.running_var]
    if rank == 0:  # Alone: eval mode that communicated would wait for the other until it fails.
        result.append(BatchNorm(2).double().eval()(x[mine]))
    torch.save(result, f"{folder}/{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


def test_two_processes_equal_one(tmp_path):
    other = mp.spawn(run_rank_one, args=(str(tmp_path),), nprocs=1, join=False)
    run_rank(0, tmp_path)
    other.join()
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


def run_rank_one(_index, folder):
    run_rank(1, folder)


@pytest.mark.parametrize("num_classes", [0, 3])
def test_a_copy_has_the_same_state(num_classes):
    norm = BatchNorm(2, num_classes, running_stats=True)
    assert list(copy.deepcopy(norm).state_dict()) == [
        "weight",
        "bias",
        "running_mean",
        "running_var",
    ]
