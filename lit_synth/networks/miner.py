"""MineGAN's miner: a small map from u to the part of a GAN's latent space that is wanted."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from lit_synth.networks.parts.blocks import PixelNorm
from lit_synth.networks.parts.rebuilding import records_init_args


class Miner(nn.Module):
    """z = M(u): fully connected layers with ReLU, the last one linear (MineGAN, arXiv:1912.05270).

    The last layer starts such that every coordinate of M(u) has mean 0 and variance 1 for
    u ~ N(0, I): the frozen generator first sees latents of the scale it was trained on. The
    reference's Gaussian weights do not ensure that.

    Settings in the text of the thesis (chapter 3 and appendix A.2); BigGAN's is the miner of z:

    ======== ============ ================= ========== ==========
    GAN      u_dim        hidden            latent_dim pixel_norm
    ======== ============ ================= ========== ==========
    MNIST    latent_dim   (latent_dim,)     8 to 128   False
    PGAN     8            (64, 128, 256)    512        True
    SNGAN    8            (32, 64)          128        False
    BigGAN   128          (128, 128, 128)   120        False
    ======== ============ ================= ========== ==========

    Args:
        u_dim: Length of u.
        latent_dim: Length of the generator's z.
        hidden: Widths of the hidden layers.
        pixel_norm: Normalise the features of each hidden layer, as PGAN's generator does.
    """

    @records_init_args
    def __init__(
        self,
        u_dim: int = 8,
        latent_dim: int = 128,
        hidden: Sequence[int] = (64, 128, 256),
        pixel_norm: bool = False,
    ) -> None:
        super().__init__()
        self.u_dim, self.latent_dim = u_dim, latent_dim
        self.body = nn.Sequential()
        widths = [u_dim, *hidden]
        for f_in, f_out in pairwise(widths):
            self.body.extend([_he_linear(f_in, f_out), nn.ReLU()])
            if pixel_norm:
                self.body.append(PixelNorm())
        self.to_latent = _he_linear(widths[-1], latent_dim)
        self._standardise()

    def forward(self, u: Tensor) -> Tensor:
        return self.to_latent(self.body(u))

    @torch.no_grad()
    def _standardise(self) -> None:
        rng = torch.Generator().manual_seed(0)
        u = torch.randn(16384, self.u_dim, generator=rng, device=rng.device)
        std, mean = torch.std_mean(self(u.to(self.to_latent.weight.device)), dim=0)
        self.to_latent.weight /= std[:, None]
        self.to_latent.bias.copy_(-mean / std)


def _he_linear(f_in: int, f_out: int) -> nn.Linear:
    layer = nn.Linear(f_in, f_out)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)
    return layer
