"""MineGAN: mine pretrained GANs with small miners (Wang et al. 2020, arXiv:1912.05270)."""

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn

from lit_synth.augment.base import Augment, alike
from lit_synth.augment.diffaugment import as_augment
from lit_synth.contracts.generator import (
    Generator,
    as_generator,
    mined_spaces,
)
from lit_synth.errors import InputError
from lit_synth.losses.games import Game
from lit_synth.losses.lecam import LeCam
from lit_synth.losses.total import total
from lit_synth.method import Method
from lit_synth.networks.miner import MinedGenerator, Miner, Selector
from lit_synth.networks.mining import check_spaces, miner_of_classes, miner_of_start, miner_of_w
from lit_synth.networks.parts.initialising import freeze_lowest, without_labels
from lit_synth.networks.parts.minibatch import score_apart
from lit_synth.networks.parts.norms import uncoupled
from lit_synth.networks.parts.rebuilding import spec_of
from lit_synth.releases.format import Release, load_release
from lit_synth.releases.games import game_of, played
from lit_synth.stages import Stage

MADE_ONCE = 2  # members whose images are all made with their graph: .92 of the time; of 3, 1.17


class MineGAN(Method):
    """Train miners M_i so that G_i(M_i(u)), i drawn from a selector p, makes the target images.

    Each of K supersamples holds one image of every generator; only the one that the critic scores
    highest plays, for the critic and for the miners (selective backpropagation). The losers of a
    supersample get no gradient; of more than two members, no graph is built for them. The selector
    is the mean share of wins over the last `window` critic minibatches.

    A stage that freezes `generators` is the paper's first stage (MineGAN w/o FT); one that does not
    fine-tunes miners, generators and critic together. A class-conditional source is a family of
    generators, one per class, with a miner each (thesis A.2.2); with `mine_classes` it is one
    generator with two miners, M^z(u) and M^c(u), the latter in place of the class's vector, as the
    thesis mines BigGAN (table 3.2). With `mine_w` a source that maps z to w has one miner, of w,
    which its classes enter too. Sources may be of any families whose images have one shape.

    Follows the thesis, chapter 3, whose game is that of the source. Where its text is silent:
    penalties look at a real image and the winner (as the released code does); the images of a
    supersample are augmented alike; the selector goes on in the second stage; all generators are
    released in it. The path length, a penalty for training from scratch, is left out. Generators
    stay in eval mode, also while they train: winners are regrouped by generator, so one with batch
    norm should have running statistics.

    Args:
        sources: Releases with a `generator` and a `critic`: folders or bundled names, also of mined
            GANs; or generators themselves.
        stages: Usually `mine` with `freeze: [generators]`, then `finetune`.
        critic: Starts from scratch if given; else a copy of a source's critic trains on.
        critic_from: Position of the source whose critic is copied.
        u_dim: Length of the miners' input u.
        hidden: Widths of the miners' hidden layers.
        pixel_norm: Normalise the features of the miners' hidden layers? (thesis: for PGAN)
        orthogonal: Linear miners, orthogonal and of spectral norm 1? (released code: for BigGAN)
        mine_classes: Mine the class vectors of conditional sources, instead of each class's z?
        mine_w: Mine w in place of z, of the sources that have it?
        semantic: Mine the features that those sources start from too? (released code: StyleGAN2's
            "semantic miner")
        window: Critic minibatches that the selector averages over (thesis: 1000).
        lambda_gp: Weight of WGAN-GP's gradient penalty, where no game is given.
        n_critic: Critic minibatches per miner step.
        lr_miner: Adam learning rate of the miners.
        lr_critic: Adam learning rate of the critic.
        lr_generator: Adam learning rate of the generators where they are not frozen.
        betas: Adam's decay rates.
        game: What critic and miners play for; None: the game that trained the source whose critic
            is copied, else WGAN-GP.
        augment: What is done to everything the critic sees: `ADA`, or a DiffAugment policy.
        lecam: Keeps the critic's scores near their running means, if given.
        freeze_d: Critic layers, counted from the image, that keep the source's weights.
    """

    def __init__(
        self,
        sources: list[str | nn.Module],
        stages: list[Stage],
        critic: nn.Module | None = None,
        critic_from: int = 0,
        u_dim: int = 8,
        hidden: list[int] = [32, 64],  # noqa: B006  never mutated; jsonargparse shows it in the help
        pixel_norm: bool = False,
        orthogonal: bool = False,
        mine_classes: bool = False,
        mine_w: bool = False,
        semantic: bool = False,
        window: int = 1000,
        lambda_gp: float = 10.0,
        n_critic: int = 5,
        lr_miner: float = 1e-3,
        lr_critic: float = 5e-4,
        lr_generator: float = 1e-4,
        betas: tuple[float, float] = (0.5, 0.9),
        game: Game | None = None,
        augment: str | Augment = "",
        lecam: LeCam | None = None,
        freeze_d: int = 0,
    ) -> None:
        super().__init__(stages)
        given = [source_of(source) for source in sources]
        generators = [generator for generator, _ in given]
        check_same_images(sources, generators)
        self.generators = nn.ModuleList(generators).eval()
        can = [mined_spaces(g) for g in generators]
        check_spaces(can, {"mine_w": mine_w, "semantic": semantic})
        by_w = [mine_w and "w" in mined for mined in can]
        by_vector = [
            mine_classes and bool(g.num_classes) and not w
            for g, w in zip(generators, by_w, strict=True)
        ]
        self.members = [
            (index, label)
            for index, g in enumerate(generators)
            for label in (
                range(g.num_classes)
                if g.num_classes and not by_vector[index] and not by_w[index]
                else [None]
            )
        ]
        self.in_w = [member for member, (index, _) in enumerate(self.members) if by_w[index]]
        new_miner = partial(
            Miner, u_dim, hidden=hidden, pixel_norm=pixel_norm, orthogonal=orthogonal
        )
        mined = [(str(member), index) for member, (index, _) in enumerate(self.members)]
        self.miners = nn.ModuleList(
            miner_of_w(generators[i], new_miner) if by_w[i] else new_miner(generators[i].latent_dim)
            for _, i in mined
        )
        self.class_miners = nn.ModuleDict(
            {name: miner_of_classes(generators[i], new_miner) for name, i in mined if by_vector[i]}
        )
        self.semantic_miners = nn.ModuleDict(
            {name: miner_of_start(generators[i]) for name, i in mined if semantic and "w" in can[i]}
        )
        if critic is None:
            critic = critic_of([release for _, release in given], critic_from)
        self.critic = uncoupled(critic).train()
        freeze_lowest(critic, freeze_d)
        played_by = given[critic_from][1] if critic_from < len(given) else None
        self.game = game_of(game, played_by, lambda_gp, n_critic)
        self.augment, self.lecam = as_augment(augment), lecam
        self.selector = Selector(len(self.members), window)
        self.u_dim, self.n_critic = u_dim, n_critic
        self.lr_miner, self.lr_critic, self.lr_generator = lr_miner, lr_critic, lr_generator
        self.betas = betas

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        mined = [
            {
                "params": [
                    *self.miners.parameters(),
                    *self.class_miners.parameters(),
                    *self.semantic_miners.parameters(),
                ],
                "lr": self.lr_miner,
            },
            {"params": self.generators.parameters(), "lr": self.lr_generator},
        ]
        return [
            torch.optim.Adam(mined, betas=self.betas, fused=True),
            torch.optim.Adam(
                self.critic.parameters(), self.lr_critic, betas=self.betas, fused=True
            ),
        ]

    def training_step(self, batch: dict[str, Tensor]) -> None:
        x = batch["image"]
        opt_m, opt_d = self.optimizers()

        # Critic: tell real images from each supersample's best (eq. 3.5).
        with self.toggled_optimizer(opt_d):
            u = self.randn(len(x), len(self.members), self.u_dim)
            x = self.augment(x, self.rand)
            x_fake, winner = self.best_of(u)
            d_real, d_fake = score_apart(self.critic, x, x_fake)
            d_adv = self.game.critic_loss(d_real, d_fake)
            slope = self.game.penalty(self.critic, x, x_fake, self.rand, self.iteration)
            d_lecam = {} if self.lecam is None else {"d_lecam": self.lecam(d_real, d_fake)}
            self.minimize(total([d_adv, slope.loss, *d_lecam.values()]), opt_d)
        self.selector.update(winner)
        shares = {f"p_{i}": p for i, p in enumerate(self.selector.probabilities())}
        r_t = self.game.r_t(d_real, d_fake)
        steered = self.augment.steer(r_t, len(x) * self.trainer.world_size)
        self.track(d_adv=d_adv, **slope.terms, **d_lecam, r_t=r_t, **steered, **shares)

        # Miners, and generators unless frozen: have the winners pass for real (eq. 3.6).
        if (self.iteration + 1) % self.n_critic == 0:
            with self.toggled_optimizer(opt_m):
                u = self.randn(len(x), len(self.members), self.u_dim)
                m_adv = self.game.generator_loss(self.winning_scores(u), lambda: self.critic(x))
                self.minimize(m_adv, opt_m)
            self.track(m_adv=m_adv)

    @cached_property
    def mined(self) -> MinedGenerator:
        """Generators, miners and selector as one generator; it holds these very modules."""
        return MinedGenerator(
            list(self.generators),
            list(self.miners),
            self.selector,
            self.members,
            dict(self.class_miners.items()),
            self.in_w,
            dict(self.semantic_miners.items()),
        )

    def mine(self, u: Tensor, member: int) -> Tensor:
        """Return G_i(M_i(u)), images (n, C, H, W), for u (n, u_dim) of one member i."""
        return self.mined.mine(u, member)

    @torch.no_grad()
    def best_of(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Return the images (K, C, H, W) that win in K supersamples, and the winning members (K,).

        Images are augmented, those of a supersample in one way.

        Args:
            u: Miner inputs (K, members, u_dim).
        """
        images = [self.mine(u[:, i], i) for i in range(len(self.members))]
        images = alike(self.augment, images, self.rand)
        if len(images) == 1:
            return images[0], torch.zeros(len(u), dtype=torch.long, device=u.device)
        winner = torch.stack(score_apart(self.critic, *images)).argmax(dim=0)
        return torch.stack(images)[winner, torch.arange(len(u), device=u.device)], winner

    def winning_scores(self, u: Tensor) -> Tensor:
        """Return the scores (K,) of what wins in K supersamples, with their graph, by member.

        A pass without a graph finds the winners, and one with a graph makes them again. Of one
        member or two it is cheaper to make all images once. Losers get no gradient either way.

        Args:
            u: Miner inputs (K, members, u_dim).
        """
        if len(self.members) > MADE_ONCE:
            _, winner = self.best_of(u)
            return self.critic(self.augment(self.decode_winners(u, winner), self.rand))
        images = [self.mine(u[:, i], i) for i in range(len(self.members))]
        scores = [self.critic(each) for each in alike(self.augment, images, self.rand)]
        winner = torch.stack(scores).argmax(dim=0)
        won = [score[winner == i] for i, score in enumerate(scores)]
        return torch.cat([each for each in won if len(each)])  # no graph of a member without wins

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
        return self.mined.decode(batch["u"], self.selector.pick(batch["r"]))

    def release(self) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        """Return the mined `generator` and the critic; and the selector, members and game."""
        return {"generator": self.mined, "critic": self.critic}, {
            "selector": self.selector.probabilities().tolist(),
            "members": [list(member) for member in self.members],
            **played(self.game, self.n_critic),
        }

    def released_settings(self) -> dict[str, Any]:
        sources = [spec_of(generator) for generator in self.generators]
        return {"sources": sources, "critic": spec_of(self.critic), "game": spec_of(self.game)}

    def restore(self, tensors: Mapping[str, Tensor], extra: Mapping[str, Any]) -> None:
        if any(name.startswith("generator.") for name in tensors):
            super().restore(tensors, extra)
            return
        # Older releases hold generators and miners one by one, and the selector as a fact.
        parts: dict[str, nn.Module] = {"critic": self.critic}
        parts |= {f"generator_{i}": g for i, g in enumerate(self.generators)}
        parts |= {f"miner_{i}": m for i, m in enumerate(self.miners)}
        nn.ModuleDict(parts).load_state_dict(tensors)
        self.selector.shares.copy_(torch.tensor(extra["selector"]).expand_as(self.selector.shares))
        self.selector.count.fill_(len(self.selector.shares))


def source_of(source: str | nn.Module) -> tuple[Generator, Release | None]:
    """Return a source's generator, and its release if it is one."""
    if isinstance(source, nn.Module):
        return as_generator(source), None
    release = load_release(source)
    return as_generator(release.network("generator")), release


def critic_of(releases: list[Release | None], critic_from: int) -> nn.Module:
    """Return the critic, without labels, of the source at a position; InputError if it has none."""
    if not 0 <= critic_from < len(releases):
        raise InputError(
            f"critic_from is {critic_from}, but there are {len(releases)} sources: "
            f"expected 0 to {len(releases) - 1}."
        )
    release = releases[critic_from]
    if release is None or "critic" not in release.networks:
        raise InputError(
            f"the source at position {critic_from} brings no critic: choose another one with "
            "critic_from, or give a new one as critic, which starts from scratch."
        )
    return without_labels(release.network("critic"))


def check_same_images(sources: Sequence[str | nn.Module], generators: list[Generator]) -> None:
    """Raise InputError unless there are generators and all make images of one shape."""
    if not generators:
        raise InputError("sources is empty: give at least one release folder or bundled name.")
    shapes = [(g.image_channels, g.image_size) for g in generators]
    if len(set(shapes)) > 1:
        names = [each if isinstance(each, str) else type(each).__name__ for each in sources]
        listed = "; ".join(f"{n}: {c} x {s} x {s}" for n, (c, s) in zip(names, shapes, strict=True))
        raise InputError(
            f"the sources make images of different shapes ({listed}): give matching ones."
        )
