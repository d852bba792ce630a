"""LeCam against its equations, step by step in plain numbers."""

import copy

import torch

from lit_synth.losses.lecam import LeCam


def test_terms_and_running_means_equal_the_published_equations():
    torch.manual_seed(0)
    lecam, real_mean, fake_mean = LeCam(weight=0.5, decay=0.9).double(), None, None
    for step in range(3):
        real, fake = torch.randn(2, 5, dtype=torch.float64) + step
        now = sum(real.tolist()) / 5, sum(fake.tolist()) / 5
        real_mean = now[0] if step == 0 else 0.9 * real_mean + 0.1 * now[0]
        fake_mean = now[1] if step == 0 else 0.9 * fake_mean + 0.1 * now[1]
        expected = sum((s - fake_mean) ** 2 for s in real.tolist()) / 5
        expected += sum((s - real_mean) ** 2 for s in fake.tolist()) / 5
        torch.testing.assert_close(lecam(real, fake).item(), 0.5 * expected)


def test_scores_get_its_gradient_and_running_means_none():
    real, fake = torch.tensor([2.0, 0.0], requires_grad=True), torch.tensor([-1.0, -1.0])
    lecam = LeCam(weight=1.0)
    lecam(real, fake).backward()
    torch.testing.assert_close(real.grad, real.detach() + 1)  # 2 (D(x) - a_fake) / 2
    assert not lecam.a_real.requires_grad


def test_a_copied_state_goes_on_exactly():
    torch.manual_seed(0)
    lecam, other = LeCam(), LeCam()
    lecam(torch.randn(4), torch.randn(4))
    other.load_state_dict(copy.deepcopy(lecam.state_dict()))
    scores = torch.randn(2, 4)
    assert torch.equal(lecam(*scores), other(*scores))
