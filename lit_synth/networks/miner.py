"""MineGAN's miners, its selector, and the generator that they make of mined GANs together."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, cast

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from lit_synth.contracts.generator import as_generator
from lit_synth.errors import InputError
from lit_synth.networks.parts.blocks import PixelNorm
from lit_synth.networks.parts.rebuilding import records_init_args


class Miner(nn.Module):
    """z = M(u): fully connected layers with ReLU, the last one linear (MineGAN, arXiv:1912.05270).

    The last layer starts such that every coordinate of M(u) has mean 0 and variance 1 for
    u ~ N(0, I): the frozen generator first sees latents of the scale it was trained on. The
    reference's Gaussian weights do not ensure that.

    Settings in the text of the thesis (chapter 3 and appendix A.2), and two of the released code.
    BigGAN's are those of the miner of z, and of the one of class vectors but for its last width,
    128:

    ================ ============ ================= ========== ========== ==========
    GAN              u_dim        hidden            latent_dim pixel_norm orthogonal
    ================ ============ ================= ========== ========== ==========
    MNIST            latent_dim   (latent_dim,)     8 to 128   False      False
    PGAN             8            (64, 128, 256)    512        True       False
    SNGAN            8            (32, 64)          128        False      False
    BigGAN           128          (128, 128, 128)   120        False      False
    BigGAN, code     120          (120, 120, 120)   120        False      True
    StyleGAN 1 and 2 512          (512,)            512        False      False
    ================ ============ ================= ========== ========== ==========

    Args:
        u_dim: Length of u.
        latent_dim: Length of the generator's z.
        hidden: Widths of the hidden layers.
        pixel_norm: Normalise the features of each hidden layer, as PGAN's generator does.
        orthogonal: Orthogonal weights under spectral norm and no ReLU, as released for BigGAN: M
            keeps lengths as far as its widths let it, and never stretches.
    """

    @records_init_args
    def __init__(
        self,
        u_dim: int = 8,
        latent_dim: int = 128,
        hidden: Sequence[int] = (64, 128, 256),
        pixel_norm: bool = False,
        orthogonal: bool = False,
    ) -> None:
        super().__init__()
        if orthogonal and pixel_norm:
            raise InputError(
                "a miner got orthogonal and pixel_norm, but orthogonal ones are linear: choose one."
            )
        self.u_dim, self.latent_dim, self.orthogonal = u_dim, latent_dim, orthogonal
        self.body = nn.Sequential()
        widths = [u_dim, *hidden]
        linear = _orthogonal_linear if orthogonal else _he_linear
        for f_in, f_out in pairwise(widths):
            self.body.append(linear(f_in, f_out))
            if not orthogonal:
                self.body.append(nn.ReLU())
            if pixel_norm:
                self.body.append(PixelNorm())
        self.to_latent = linear(widths[-1], latent_dim)
        self.std: Tensor
        self.mean: Tensor
        if orthogonal:
            self.register_buffer("std", torch.ones(latent_dim))
            self.register_buffer("mean", torch.zeros(latent_dim))
        else:
            self._standardise()

    def forward(self, u: Tensor) -> Tensor:
        z: Tensor = self.to_latent(self.body(u))
        return z * self.std + self.mean if self.orthogonal else z

    @torch.no_grad()
    def start_like(self, vectors: Tensor) -> None:
        """Give M(u), as it starts, the mean and variance of vectors (N, latent_dim)."""
        std, mean = torch.std_mean(vectors, dim=0, correction=0)
        if self.orthogonal:  # whose weights cannot be longer
            self.std.copy_(std)
            self.mean.copy_(mean)
            return
        self.to_latent.weight *= std[:, None]
        self.to_latent.bias.mul_(std).add_(mean)

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


def _orthogonal_linear(f_in: int, f_out: int) -> nn.Linear:
    layer = nn.Linear(f_in, f_out)
    nn.init.orthogonal_(layer.weight)
    nn.init.zeros_(layer.bias)
    return cast("nn.Linear", spectral_norm(layer))


class Selector(nn.Module):
    """Probability of each member: its mean share of wins over the last critic minibatches.

    Args:
        members: How many there are.
        window: Critic minibatches remembered.
    """

    @records_init_args
    def __init__(self, members: int, window: int = 1000) -> None:
        super().__init__()
        self.register_buffer("shares", torch.zeros(window, members))
        self.register_buffer("count", torch.zeros((), dtype=torch.long))
        self.shares: Tensor
        self.count: Tensor

    @torch.no_grad()
    def update(self, winner: Tensor) -> None:
        """Record the winning members (K,) of one critic minibatch, over all processes."""
        window, members = self.shares.shape
        share = F.one_hot(winner, members).to(self.shares.dtype).mean(dim=0)
        if dist.is_initialized():
            dist.all_reduce(share)
            share /= dist.get_world_size()
        self.shares.index_copy_(0, (self.count % window).view(1), share.view(1, -1))
        self.count += 1

    def probabilities(self) -> Tensor:
        """Return p (members,), which sums to 1; uniform before the first minibatch."""
        window, members = self.shares.shape
        seen = self.count.clamp(max=window)
        uniform = torch.full_like(self.shares[0], 1 / members)
        return torch.where(seen > 0, self.shares.sum(dim=0) / seen.clamp(min=1), uniform)

    def pick(self, r: Tensor) -> Tensor:
        """Return the members (n,) that uniform draws r (n,) in [0, 1) fall on."""
        edges = self.probabilities().cumsum(dim=0)
        return torch.searchsorted(edges / edges[-1], r, right=True).clamp(max=len(edges) - 1)


class MinedGenerator(nn.Module):
    """What MineGAN makes of its sources, as one generator: z = (u, s) -> G_i(M_i(u)).

    Its z is standard normal, as a generator's is: the member i is the one that the selector has for
    r = Phi(s), Phi being the normal distribution function.

    Args:
        generators: The sources; two members may share one.
        miners: Of each member, from u to the z of its generator.
        selector: Says how often each member is asked.
        members: Of each, the position of its generator, and the class that it asks it for or None.
        class_miners: Number of a member -> its miner of class vectors, from the same u; the others
            have none.
        in_w: Numbers of the members whose miners give w in place of z.
        semantic_miners: Number of a member -> its miner of the features that its generator
            starts from, which takes no u; the others have none.
    """

    @records_init_args
    def __init__(
        self,
        generators: Sequence[nn.Module],
        miners: Sequence[nn.Module],
        selector: nn.Module,
        members: Sequence[tuple[int, int | None]],
        class_miners: Mapping[str, nn.Module] | None = None,
        in_w: Sequence[int] = (),
        semantic_miners: Mapping[str, nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.generators, self.miners = nn.ModuleList(generators).eval(), nn.ModuleList(miners)
        self.selector = cast("Selector", selector)
        self.class_miners = nn.ModuleDict(class_miners)
        self.members = [(index, label) for index, label in members]
        self.in_w = tuple(in_w)
        self.semantic_miners = nn.ModuleDict(semantic_miners)
        first = as_generator(self.generators[0])
        self.image_channels, self.image_size = first.image_channels, first.image_size
        self.u_dim = cast("Miner", self.miners[0]).u_dim
        self.latent_dim, self.num_classes = self.u_dim + 1, 0

    def train(self, mode: bool = True) -> "MinedGenerator":
        """Switch all but the sources: batch norm must not see images grouped by member."""
        super().train(mode)
        self.generators.eval()
        return self

    def forward(self, z: Tensor) -> Tensor:
        u, s = z[:, :-1], z[:, -1].contiguous()
        return self.decode(u, self.selector.pick(torch.special.ndtr(s)))

    def decode(self, u: Tensor, member: Tensor) -> Tensor:
        """Return images (n, C, H, W) for u (n, u_dim), each of its member (n,)."""
        images = [self.mine(u[member == i], i) for i in range(len(self.members))]
        order = torch.cat([(member == i).nonzero()[:, 0] for i in range(len(self.members))])
        return torch.cat(images)[order.argsort()]

    def mine(self, u: Tensor, member: int) -> Tensor:
        """Return G_i(M_i(u)), images (n, C, H, W), for u (n, u_dim) of one member i."""
        index, label = self.members[member]
        generator: Any = self.generators[index]
        z = self.miners[member](u)
        given = []
        if str(member) in self.class_miners:
            given = [self.class_miners[str(member)](u)]
        elif label is not None:
            given = [torch.full((len(z),), label, device=z.device)]
        semantic = str(member) in self.semantic_miners
        if member not in self.in_w and not semantic:
            return generator(z, *given)
        w = z if member in self.in_w else generator.to_w(z, *given)
        start = self.semantic_miners[str(member)]() if semantic else None
        return generator.synthesis(w, start)
