"""Fully connected layers with ReLU between them, as PPGN's denoiser of codes has."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from lit_synth.networks.parts.rebuilding import records_init_args


class Perceptron(nn.Sequential):
    """Linear layers with ReLU between them, none after the last.

    Args:
        widths: Lengths of the input, of every hidden layer and of the output.
    """

    @records_init_args
    def __init__(self, widths: Sequence[int]) -> None:
        layers: list[nn.Module] = []
        for f_in, f_out in pairwise(widths):
            layers += [nn.Linear(f_in, f_out), nn.ReLU()]
        super().__init__(*layers[:-1])
