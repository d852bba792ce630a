import torch

from lit_synth.losses.adversarial import (
    hinge_critic_loss,
    wasserstein_critic_loss,
    wasserstein_generator_loss,
)


def scores():
    torch.manual_seed(0)
    return torch.randn(7, dtype=torch.float64), torch.randn(5, dtype=torch.float64)


def test_wasserstein_terms_are_differences_of_means():
    real, fake = scores()
    mean_real, mean_fake = sum(real.tolist()) / 7, sum(fake.tolist()) / 5
    torch.testing.assert_close(wasserstein_critic_loss(real, fake).item(), mean_fake - mean_real)
    torch.testing.assert_close(wasserstein_generator_loss(fake).item(), -mean_fake)


def test_hinge_saturates_beyond_one():
    real, fake = scores()
    expected = sum(max(0.0, 1 - s) for s in real.tolist()) / 7
    expected += sum(max(0.0, 1 + s) for s in fake.tolist()) / 5
    torch.testing.assert_close(hinge_critic_loss(real, fake).item(), expected)
    assert hinge_critic_loss(torch.full((3,), 1.5), torch.full((3,), -1.5)) == 0


def test_half_precision_scores_are_averaged_in_float32():
    real = torch.full((1000,), 1.01, dtype=torch.bfloat16)
    loss = wasserstein_generator_loss(real)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss.item(), -float(real[0]))
