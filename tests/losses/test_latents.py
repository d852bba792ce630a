import torch
from torch.distributions import Normal, kl_divergence

from lit_synth.losses.latents import kl_to_standard_normal, latent_emd


def test_kl_equals_torch_distributions():
    torch.manual_seed(0)
    mu, logvar = torch.randn(2, 6, 3, dtype=torch.float64)
    expected = kl_divergence(Normal(mu, (logvar / 2).exp()), Normal(0.0, 1.0)).sum(1).mean()
    torch.testing.assert_close(kl_to_standard_normal(mu, logvar), expected)
    assert kl_to_standard_normal(torch.zeros(2, 3), torch.zeros(2, 3)) == 0


def test_latent_emd_equals_two_loops():
    torch.manual_seed(0)
    z, r = torch.randn(3, 2, dtype=torch.float64), torch.randn(8, 2, dtype=torch.float64)
    near_z = [min(sum((a - b) ** 2 for a, b in zip(p, q, strict=True)) for q in z) for p in r]
    near_r = [min(sum((a - b) ** 2 for a, b in zip(p, q, strict=True)) for q in r) for p in z]
    torch.testing.assert_close(latent_emd(z, r), sum(near_z) / 8 + sum(near_r) / 3)


def test_latent_emd_of_samples_that_hold_the_latents_has_a_finite_gradient():
    z = torch.randn(3, 2, requires_grad=True)
    latent_emd(z, z.detach()).backward()
    assert torch.equal(z.grad, torch.zeros(3, 2))
