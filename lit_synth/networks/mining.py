"""Miners made for a given generator, by what can be mined in it."""

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from lit_synth.contracts.generator import Generator, HasClassVectors, HasStyles
from lit_synth.errors import InputError
from lit_synth.networks.miner import Miner
from lit_synth.networks.parts.rebuilding import records_init_args

N_OF_W = 4096  # w that a miner's start is taken from


class SemanticMiner(nn.Module):
    """A learned constant and 1x1 convolutions make the features that a StyleGAN2 starts from.

    The released code's "semantic miner", which takes no u: a constant of 8 channels, convolutions
    to 32 and 128 with LeakyReLU .2, and one to the features. Ours starts as the generator's own
    features, where the released one starts random.

    Args:
        channels: Channels of the features.
        size: Height and width of the features.
        width: Channels of the constant.
    """

    @records_init_args
    def __init__(self, channels: int = 512, size: int = 4, width: int = 8) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.randn(width, size, size))
        self.body = nn.Sequential(
            nn.Conv2d(width, 4 * width, kernel_size=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(4 * width, 16 * width, kernel_size=1),
            nn.LeakyReLU(0.2),
        )
        self.to_start = nn.Conv2d(16 * width, channels, kernel_size=1, bias=False)

    def forward(self) -> Tensor:
        """Return the features (1, channels, size, size)."""
        return self.to_start(self.body(self.constant[None]))

    @torch.no_grad()
    def start_as(self, features: Tensor) -> None:
        """Choose the last convolution such that this makes features (channels, size, size)."""
        h = self.body(self.constant[None])[0].flatten(1)
        self.to_start.weight.copy_((features.flatten(1) @ torch.linalg.pinv(h))[:, :, None, None])


def miner_of_classes(generator: Generator, new_miner: Callable[[int], Miner]) -> Miner:
    """Return M^c, which starts with the mean and variance of the generator's class vectors."""
    if not isinstance(generator, HasClassVectors):
        raise InputError(
            f"mine_classes is set, but {type(generator).__name__} has no class vectors to mine: "
            "leave it out, and each class of the source is mined by itself."
        )
    vectors = generator.class_vectors()
    miner = new_miner(vectors.shape[1])
    miner.start_like(vectors)
    return miner


@torch.no_grad()
def miner_of_w(generator: Generator, new_miner: Callable[[int], Miner]) -> Miner:
    """Return a miner of w, which starts with the mean and variance of the generator's own w."""
    assert isinstance(generator, HasStyles)
    rng = torch.Generator().manual_seed(0)
    device = next(generator.parameters()).device
    z = torch.randn(N_OF_W, generator.latent_dim, generator=rng, device=rng.device).to(device)
    label = None
    if generator.num_classes:
        label = torch.randint(generator.num_classes, (N_OF_W,), generator=rng, device=rng.device)
        label = label.to(device)
    miner = new_miner(generator.w_dim)
    miner.start_like(generator.to_w(z, label)[:, 0])
    return miner


def miner_of_start(generator: Generator) -> SemanticMiner:
    """Return a miner of the features that the generator starts from, which starts as they are."""
    assert isinstance(generator, HasStyles)
    const = cast("Tensor", generator.synthesis.const)
    miner = SemanticMiner(const.shape[0], const.shape[1])
    miner.start_as(const)
    return miner


def check_spaces(can: Sequence[Mapping[str, int]], asked: Mapping[str, bool]) -> None:
    """Raise InputError if something is asked for that no source has a w for.

    Args:
        can: What can be mined in each source.
        asked: Names of settings, and whether they are set.
    """
    for name, is_set in asked.items():
        if is_set and not any("w" in mined for mined in can):
            mined = ", ".join(sorted({space for mined in can for space in mined}))
            raise InputError(
                f"{name} is set, but the sources can be mined in {mined} alone: leave it out."
            )
