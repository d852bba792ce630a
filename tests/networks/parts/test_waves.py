"""Waves of latents, number by number."""

import math

import pytest
import torch

from lit_synth.networks.parts.waves import waves


def test_waves_are_sines_and_cosines_of_the_share_below_z():
    z = torch.randn(5, 3, dtype=torch.float64)
    made = waves(z, 2)
    assert made.shape == (5, 15)
    for n in range(5):
        for d in range(3):
            share = (1 + math.erf(z[n, d] / math.sqrt(2))) / 2
            turn = math.pi * (2 * share - 1)
            known = [
                z[n, d],
                math.sin(turn),
                math.cos(turn),
                math.sin(2 * turn),
                math.cos(2 * turn),
            ]
            assert made[n, d::3].tolist() == pytest.approx([float(each) for each in known])
    assert torch.equal(waves(z, 0), z)
