"""MineGAN: mine pretrained GANs with small miners (Wang et al. 2020, arXiv:1912.05270)."""

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.contracts.generator import as_generator
from lit_synth.errors import InputError
from lit_synth.losses.adversarial import wasserstein_critic_loss, wasserstein_generator_loss
from lit_synth.losses.penalties import gradient_penalty
from lit_synth.method import Method
from lit_synth.networks.miner import Miner
from lit_synth.networks.parts.initialising import without_labels
from lit_synth.releases.format import Release, load_release
from lit_synth.stages import Stage


class MineGAN(Method):
    """Train miners M_i so that G_i(M_i(u)), i drawn from a selector p, makes the target images.

    Each of K supersamples holds one image of every generator; only the one that the critic scores
    highest plays, for the critic and for the miners (selective backpropagation). The losers of a
    supersample get no gradient, and no graph is built for them. The selector is the mean share of
    wins over the last `window` critic minibatches.

    A stage that freezes `generators` is the paper's first stage (MineGAN w/o FT); one that does not
    fine-tunes miners, generators and critic together. A class-conditional source is a family of
    generators, one per class, with a miner each (thesis A.2.2).

    Follows the thesis, chapter 3. Where its text is silent: the gradient penalty is taken between a
    real image and the winner (as the released code does); the selector goes on in the second stage;
    all generators are released in it. Generators stay in eval mode, also while they train: winners
    are regrouped by generator, so one with batch norm should have running statistics.

    Args:
        sources: Releases with a `generator` and a `critic`: folders or bundled names.
        stages: Usually `mine` with `freeze: [generators]`, then `finetune`.
        critic: Starts from scratch if given; else a copy of a source's critic trains on.
        critic_from: Position of the source whose critic is copied.
        u_dim: Length of the miners' input u.
        hidden: Widths of the miners' hidden layers.
        window: Critic minibatches that the selector averages over (thesis: 1000).
        lambda_gp: Weight of the gradient penalty.
        n_critic: Critic minibatches per miner step.
        lr_miner: Adam learning rate of the miners.
        lr_critic: Adam learning rate of the critic.
        lr_generator: Adam learning rate of the generators where they are not frozen.
        betas: Adam's decay rates.
    """

    def __init__(
        self,
        sources: list[str],
        stages: list[Stage],
        critic: nn.Module | None = None,
        critic_from: int = 0,
        u_dim: int = 8,
        hidden: list[int] = [32, 64],  # noqa: B006  never mutated; jsonargparse shows it in the help
        window: int = 1000,
        lambda_gp: float = 10.0,
        n_critic: int = 5,
        lr_miner: float = 1e-3,
        lr_critic: float = 5e-4,
        lr_generator: float = 1e-4,
        betas: tuple[float, float] = (0.5, 0.9),
    ) -> None:
        super().__init__(stages)
        releases = [load_release(source) for source in sources]
        check_same_images(releases)
        generators = [as_generator(release.network("generator")) for release in releases]
        self.generators = nn.ModuleList(generators).eval()
        self.members = [
            (index, label)
            for index, generator in enumerate(generators)
            for label in (range(generator.num_classes) if generator.num_classes else [None])
        ]
        self.miners = nn.ModuleList(
            [Miner(u_dim, generators[index].latent_dim, hidden) for index, _ in self.members]
        )
        if critic is None:
            if not 0 <= critic_from < len(releases):
                raise InputError(
                    f"critic_from is {critic_from}, but there are {len(releases)} sources: "
                    f"expected 0 to {len(releases) - 1}."
                )
            critic = without_labels(releases[critic_from].network("critic"))
        self.critic = critic.train()
        self.selector = Selector(len(self.members), window)
        self.u_dim, self.lambda_gp, self.n_critic = u_dim, lambda_gp, n_critic
        self.lr_miner, self.lr_critic, self.lr_generator = lr_miner, lr_critic, lr_generator
        self.betas = betas

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        mined = [
            {"params": self.miners.parameters(), "lr": self.lr_miner},
            {"params": self.generators.parameters(), "lr": self.lr_generator},
        ]
        return [
            torch.optim.Adam(mined, betas=self.betas),
            torch.optim.Adam(self.critic.parameters(), self.lr_critic, betas=self.betas),
        ]

    def training_step(self, batch: dict[str, Tensor]) -> None:
        x = batch["image"]
        opt_m, opt_d = self.optimizers()

        # Critic: score real images above each supersample's best (eq. 3.5).
        with self.toggled_optimizer(opt_d):
            u = self.randn(len(x), len(self.members), self.u_dim)
            x_fake, winner = self.best_of(u)
            d_real, d_fake = self.critic(torch.cat([x, x_fake])).chunk(2)
            d_adv = wasserstein_critic_loss(d_real, d_fake)
            d_gp = gradient_penalty(self.critic, x, x_fake, self.rand(len(x), 1, 1, 1))
            self.minimize(d_adv + self.lambda_gp * d_gp, opt_d)
        self.selector.update(winner)
        shares = {f"p_{i}": p for i, p in enumerate(self.selector.probabilities())}
        self.track(d_adv=d_adv, d_gp=d_gp, **shares)

        # Miners, and generators unless frozen: raise the winners' scores (eq. 3.6).
        if (self.iteration + 1) % self.n_critic == 0:
            with self.toggled_optimizer(opt_m):
                u = self.randn(len(x), len(self.members), self.u_dim)
                _, winner = self.best_of(u)
                m_adv = wasserstein_generator_loss(self.critic(self.decode_winners(u, winner)))
                self.minimize(m_adv, opt_m)
            self.track(m_adv=m_adv)

    def mine(self, u: Tensor, member: int) -> Tensor:
        """Return G_i(M_i(u)), images (n, C, H, W), for u (n, u_dim) of one member i."""
        index, label = self.members[member]
        z = self.miners[member](u)
        if label is None:
            return self.generators[index](z)
        return self.generators[index](z, torch.full((len(z),), label, device=z.device))

    @torch.no_grad()
    def best_of(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Return the images (K, C, H, W) that win in K supersamples, and the winning members (K,).

        Args:
            u: Miner inputs (K, members, u_dim).
        """
        images = torch.stack([self.mine(u[:, i], i) for i in range(len(self.members))], dim=1)
        if len(self.members) == 1:
            return images[:, 0], torch.zeros(len(u), dtype=torch.long, device=u.device)
        winner = self.critic(images.flatten(0, 1)).view(len(u), -1).argmax(dim=1)
        return images[torch.arange(len(u), device=u.device), winner], winner

    def decode_winners(self, u: Tensor, winner: Tensor) -> Tensor:
        """Return the winners' images (K, C, H, W) with their graph, ordered by member."""
        chosen = [u[winner == i, i] for i in range(len(self.members))]
        return torch.cat([self.mine(c, i) for i, c in enumerate(chosen) if len(c)])

    def prior(self, n: int, rng: torch.Generator) -> dict[str, Tensor]:
        """Draw miner inputs u (n, u_dim) and the uniform r (n,) that picks a member through p."""
        return {
            "u": torch.randn(n, self.u_dim, generator=rng),
            "r": torch.rand(n, generator=rng),
        }

    @torch.no_grad()
    def generate(self, batch: dict[str, Tensor]) -> Tensor:
        u, member = batch["u"], self.selector.pick(batch["r"])
        images = [self.mine(u[member == i], i) for i in range(len(self.members))]
        order = torch.cat([(member == i).nonzero()[:, 0] for i in range(len(self.members))])
        return torch.cat(images)[order.argsort()]

    def release(self) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        """Return generators, miners and critic by name; and the selector and members."""
        networks: dict[str, nn.Module] = {"critic": self.critic}
        networks |= {f"generator_{i}": g for i, g in enumerate(self.generators)}
        networks |= {f"miner_{i}": m for i, m in enumerate(self.miners)}
        return networks, {
            "selector": self.selector.probabilities().tolist(),
            "members": [list(member) for member in self.members],
        }


class Selector(nn.Module):
    """Probability of each member: its mean share of wins over the last critic minibatches.

    Args:
        members: How many there are.
        window: Critic minibatches remembered.
    """

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


def check_same_images(releases: list[Release]) -> None:
    """Raise InputError unless there are generators and all make images of one shape."""
    if not releases:
        raise InputError("sources is empty: give at least one release folder or bundled name.")
    shapes = {
        str(release.folder): (g.image_channels, g.image_size)
        for release in releases
        for g in [release.network("generator")]
    }
    if len(set(shapes.values())) > 1:
        listed = "; ".join(f"{name}: {c} x {s} x {s}" for name, (c, s) in shapes.items())
        raise InputError(
            f"the sources make images of different shapes ({listed}): give matching ones."
        )
