"""The logistic GAN losses against cross-entropies of probabilities."""

import torch
import torch.nn.functional as F

from lit_synth.losses.adversarial import logistic_discriminator_loss, logistic_generator_loss


def test_they_are_cross_entropies_of_real_and_fake():
    torch.manual_seed(0)
    real, fake = torch.randn(3, 1, 4, 4).double(), torch.randn(5, 1, 4, 4).double()
    p_real, p_fake = real.sigmoid(), fake.sigmoid()
    ones = torch.ones_like
    expected = F.binary_cross_entropy(p_real, ones(real))
    expected = expected + F.binary_cross_entropy(p_fake, 0 * fake)
    torch.testing.assert_close(logistic_discriminator_loss(real, fake), expected)
    expected = F.binary_cross_entropy(p_fake, ones(fake))
    torch.testing.assert_close(logistic_generator_loss(fake), expected)


def test_large_scores_keep_finite_losses_and_gradients():
    score = torch.tensor([-200.0], requires_grad=True)
    loss = logistic_generator_loss(score)
    loss.backward()
    assert loss.item() == 200
    assert score.grad.item() == -1


def test_bfloat16_scores_are_averaged_in_float32():
    scores = torch.full((1000,), 1.0, dtype=torch.bfloat16)
    scores[0] = 3
    expected = F.softplus(-scores.float()).mean()
    assert logistic_generator_loss(scores).dtype == torch.float32
    torch.testing.assert_close(logistic_generator_loss(scores), expected)
