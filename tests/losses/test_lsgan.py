import pytest
import torch

from lit_synth.losses.adversarial import lsgan_discriminator_loss, lsgan_generator_loss


@pytest.mark.parametrize("label", [1.0, 0.9])
def test_losses_equal_their_formulas(label):
    torch.manual_seed(0)
    real, fake = torch.randn(4, 1, 3, 3), torch.randn(2, 1, 3, 3)
    expected = sum((s - label) ** 2 for s in real.flatten().tolist()) / 36
    expected += sum(s**2 for s in fake.flatten().tolist()) / 18
    torch.testing.assert_close(
        lsgan_discriminator_loss(real, fake, label), torch.tensor(expected), rtol=1e-5, atol=0
    )
    expected = sum((s - 1) ** 2 for s in fake.flatten().tolist()) / 18
    torch.testing.assert_close(
        lsgan_generator_loss(fake), torch.tensor(expected), rtol=1e-5, atol=0
    )


def test_each_player_is_content_where_it_wins():
    won, lost = torch.ones(5, 1), torch.zeros(5, 1)
    assert lsgan_discriminator_loss(won, lost) == 0
    assert lsgan_discriminator_loss(lost, won) == 2
    assert lsgan_generator_loss(won) == 0
    assert lsgan_generator_loss(lost) == 1


def test_bfloat16_scores_are_squared_in_float32():
    score = torch.full((2, 1, 4, 4), 1.0625).bfloat16()
    assert lsgan_generator_loss(score) == 0.0625**2
    assert lsgan_generator_loss(score).dtype == torch.float32
    assert lsgan_discriminator_loss(score, score) == 0.0625**2 + 1.0625**2
