"""MineGAN's selector: the mean share of wins over a window that rolls, and over all processes."""

import pytest
import torch
from forkserver import server
from selector_ranks import run_rank

from lit_synth.methods.minegan import Selector


def test_the_window_rolls_over():
    selector, shares = Selector(3, window=4), []
    rng = torch.Generator().manual_seed(0)
    assert selector.probabilities().tolist() == pytest.approx([1 / 3] * 3)
    for _ in range(11):
        winner = torch.randint(3, (5,), generator=rng)
        selector.update(winner)
        shares.append([(winner == member).double().mean().item() for member in range(3)])
        latest = torch.tensor(shares[-4:], dtype=torch.float64)
        assert torch.allclose(selector.probabilities().double(), latest.mean(dim=0), atol=1e-6)
        assert selector.probabilities().sum().item() == pytest.approx(1)


def test_members_are_picked_by_their_share():
    selector = Selector(3, window=2)
    selector.update(torch.tensor([0, 0, 2, 2]))
    r = torch.tensor([0.0, 0.49, 0.51, 0.999])
    assert selector.pick(r).tolist() == [0, 0, 2, 2]


def test_processes_share_one_clock(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with server().other_rank("selector_ranks.run_rank", str(tmp_path)):
        run_rank(0, tmp_path)
    for rank in range(2):
        probabilities, count = torch.load(tmp_path / f"{rank}.pt")
        assert probabilities.tolist() == pytest.approx([(3 / 4 + 0) / 2, (1 / 4 + 1) / 2])
        assert count == 2
