import math

import pytest
import torch
from forkserver import server
from regression_ranks import gradients, run_rank

from lit_synth.losses.reconstruction import berhu, masked_l1, masked_l2


def made(seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (3, 1, 4, 5)
    y, x = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    # Errors of very different size, so that a threshold of the whole batch would show.
    scale = torch.tensor([1.0, 10.0, 100.0], dtype=torch.float64)[:, None, None, None]
    return scale * y, scale * x, torch.rand(shape, generator=generator) > 0.3


def plain_berhu(y, x, mask):
    total = 0.0
    for i in range(len(y)):
        errors = (y[i] - x[i])[mask[i]].abs().tolist()
        c = max(errors) / 5
        total += sum(e if e <= c else (e * e + c * c) / (2 * c) for e in errors)
    return total / int(mask.sum())


@pytest.mark.parametrize("masked", [False, True])
def test_losses_equal_their_formulas(masked):
    y, x, mask = made()
    mask = mask if masked else torch.ones_like(mask)
    given = mask if masked else None
    errors = (y - x)[mask]
    torch.testing.assert_close(masked_l1(y, x, given), errors.abs().mean())
    torch.testing.assert_close(masked_l2(y, x, given), errors.square().mean())
    assert math.isclose(berhu(y, x, given).item(), plain_berhu(y, x, mask), rel_tol=1e-12)


def test_berhu_and_its_slope_are_continuous_where_the_branches_meet():
    # The second error, 5, makes c = 1.
    def at(error):
        y = torch.tensor([error, 5.0], dtype=torch.float64, requires_grad=True)
        loss = 2 * berhu(y.view(1, 1, 1, 2), torch.zeros(1, 1, 1, 2, dtype=torch.float64))
        loss.backward()
        return loss.item() - 13, y.grad[0].item()  # B(5) = (25 + 1) / 2

    for error in (-1 - 1e-9, -1.0, -1 + 1e-9):
        value, slope = at(error)
        assert math.isclose(value, 1, abs_tol=1e-8)
        assert math.isclose(slope, -1, abs_tol=1e-8)
    assert at(0.5) == (0.5, 1.0)
    assert at(2.0) == (2.5, 2.0)


def test_no_gradient_passes_through_berhus_threshold():
    y = torch.tensor([3.0, -10.0], requires_grad=True)  # c = 2: B'(e) = e / 2
    berhu(y.view(1, 1, 1, 2), torch.zeros(1, 1, 1, 2)).backward()
    torch.testing.assert_close(y.grad, torch.tensor([3 / 2 / 2, -10 / 2 / 2]))


@pytest.mark.parametrize("loss", [berhu, masked_l1, masked_l2])
def test_without_error_or_known_targets_the_loss_and_its_gradient_are_zero(loss):
    for mask in (None, torch.zeros(2, 1, 2, 2, dtype=torch.bool)):
        y = torch.ones(2, 1, 2, 2, requires_grad=True)
        value = loss(y, torch.ones(2, 1, 2, 2), mask)
        value.backward()
        assert value == 0
        assert (y.grad == 0).all()


@pytest.mark.parametrize("loss", [berhu, masked_l1, masked_l2])
def test_unknown_targets_may_hold_anything(loss):
    y, x, mask = made()
    y = y.requires_grad_()
    expected = loss(y, x, mask)
    value = loss(y, x.masked_fill(~mask, torch.nan), mask)
    value.backward()
    assert value == expected
    assert (y.grad[~mask] == 0).all()
    assert (y.grad[mask] != 0).any()


@pytest.mark.parametrize("loss", [berhu, masked_l1, masked_l2])
def test_bfloat16_is_reduced_in_float32(loss):
    x = torch.randn(1, 1, 64, 64).bfloat16()
    y = x + torch.randn(1, 1, 64, 64).bfloat16()
    value = loss(y, x)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value.double(), loss(y.double(), x.double()), rtol=1e-5, atol=0)


def test_two_processes_that_know_unlike_shares_have_the_gradients_of_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with server().other_rank("regression_ranks.run_rank", str(tmp_path)):
        run_rank(0, str(tmp_path))
    expected = gradients(slice(None), alone=True)
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert found.keys() == expected.keys()
        for name, gradient in expected.items():
            torch.testing.assert_close(found[name], gradient, msg=name)
