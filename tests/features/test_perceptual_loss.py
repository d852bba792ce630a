"""The perceptual loss: what it compares, what it teaches, and files that do not fit."""

import pytest
import torch
import torch.nn.functional as F

from lit_synth.errors import InputError
from lit_synth.features.perceptual_loss import PerceptualLoss


def test_it_is_the_weighted_l1_of_the_deepest_stages_through_made_images_alone():
    torch.manual_seed(0)
    made, true = (torch.randn(2, 3, 16, 16, requires_grad=True) for _ in range(2))
    loss = PerceptualLoss()
    stages = [loss.network.stages(images) for images in (made, true)]
    terms = [F.l1_loss(y, x) for y, x in zip(*stages, strict=True)]
    weighted = [term / 2 ** (0 if i == 0 else i + 1) for i, term in enumerate(terms[::-1])]
    torch.testing.assert_close(loss(made, true), sum(weighted))
    torch.testing.assert_close(PerceptualLoss(layers=1)(made, true), terms[-1])
    loss(made, true).backward()
    assert made.grad.abs().sum() > 0
    assert true.grad is None


def test_equal_images_have_no_loss():
    images = torch.randn(1, 3, 16, 16)
    assert PerceptualLoss()(images, images) == 0


def test_a_file_of_other_weights_is_refused(tmp_path):
    torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pth")
    for name in ("other.pth", "missing.pth"):
        with pytest.raises(InputError, match="does not hold the weights of torchvision's VGG19"):
            PerceptualLoss(str(tmp_path / name))
