"""SISUG's rearranger: the style of one image in the layout of another (Chae et al. 2023)."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.contracts.generator import as_generator
from lit_synth.errors import InputError
from lit_synth.losses.games import Game, Logistic
from lit_synth.method import Method
from lit_synth.networks.parts.initialising import fresh_critic, without_labels
from lit_synth.networks.parts.minibatch import score_apart
from lit_synth.networks.parts.norms import uncoupled
from lit_synth.networks.parts.split import Samples, open_many, opened, splittable
from lit_synth.networks.proxy_masks import ProxyMasks
from lit_synth.networks.rearranger import Rearranger
from lit_synth.releases.format import SELF, Release, load_release
from lit_synth.releases.games import played
from lit_synth.stages import Stage

TEMPERATURE = 0.1  # of the soft assignment of features to centroids


class SISUGRearranger(Method):
    """Train R so that G2(R(f_i, m_j)) looks real, with the layout m_j and all else of image i.

    A frozen StyleGAN2 is split, G = G2 o G1, f_i = G1(z_i). K-means of the features of some samples
    gives centroids, found once, and m_i is the nearest one of each feature: the proxy mask.

        L = L_adv + lambda_self L_self + lambda_mask L_mask

    L_self: R(flip(f_i), m_i) is f_i, each image being mirrored or not, so that copying does not do.
    L_mask: the mask read off the made image is m_j, by a labeler T that has learned from pairs of
    G(z) and m. Batches of own masks, j = i, and of others' take turns. A stage that freezes the
    rearranger trains the labeler; of the other stages, the last plays the game in every iteration,
    and those before it in every `adv_every`-th.

    The paper's supplement gives the weights, the turns and the schedule. Reconstructed, as it says
    no more: what reads the mask, for which the image serves (features obey where the image does
    not); the metric of L_self, L1 of features in units of each channel's deviation and of images;
    that the features are mirrored and not the mask; where the attention starts; the critic, which
    starts as the source's.

    Args:
        source: Release of a StyleGAN2: a folder or bundled name.
        rearranger: Maps features, skip and proxy mask to features and skip.
        stages: The paper's last 100,000 and 40,000 iterations at 256 px; before them the labeler's.
        labeler: Maps images to logits of the proxy mask (N, K, h, w); None: the features' cosines
            with the centroids, in place of it.
        critic: Starts from scratch if given; else the source's trains on.
        size: Height and width h of the split.
        samples: Samples whose features are clustered.
        spherical: Cluster the features' directions, or else the features?
        attend: Start with attention on the features of the cluster that is asked for? Otherwise it
            is random, and spread over all.
        pool: Samples that are made once and drawn from; None: new ones in every iteration, as the
            paper's, which takes several times as long.
        lambda_self: Weight of L_self.
        lambda_mask: Weight of L_mask; the paper's is 1.
        flip: Mirror own features in half of the cases?
        adv_every: Iterations from one with L_adv to the next, before the last stage.
        game: What critic and rearranger play for; None: logistic with R1 of 10, lazily.
        lr: Adam learning rate of all networks.
        betas: Adam's decay rates.
    """

    seed: Tensor

    def __init__(
        self,
        source: str,
        rearranger: nn.Module,
        stages: list[Stage],
        labeler: nn.Module | None = None,
        critic: nn.Module | None = None,
        size: int = 64,
        samples: int = 256,
        spherical: bool = True,
        attend: bool = True,
        pool: int | None = None,
        lambda_self: float = 10.0,
        lambda_mask: float = 1.0,
        flip: bool = True,
        adv_every: int = 5,
        game: Game | None = None,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.0, 0.99),
    ) -> None:
        super().__init__(stages)
        release = load_release(source)
        self.generator = splittable(release.network("generator"), size).requires_grad_(False).eval()
        if not isinstance(rearranger, Rearranger):
            raise InputError(
                f"the rearranger is a {type(rearranger).__name__}: expected a Rearranger."
            )
        k, width = rearranger.num_clusters, len(rearranger.deviation)
        given = self.generator.synthesis.blocks[str(size)].conv1.bias.numel()
        if given != width:
            raise InputError(
                f"the rearranger is built for {width} channels, and the source has {given} at "
                f"{size} pixels: give channels: {given}."
            )
        if samples < k:
            raise InputError(
                f"{k} clusters are asked for from {samples} samples: give at least as many samples."
            )
        if adv_every < 1 or (pool is not None and pool < 1):
            raise InputError(
                f"adv_every is {adv_every} and pool {pool}: expected at least 1, or no pool."
            )
        self.proxy = ProxyMasks(width, k, spherical).requires_grad_(False)
        self.rearranger, self.labeler = rearranger, labeler
        self.critic = uncoupled(critic_of(release, critic)).train()
        self.game = Logistic(gamma=10.0) if game is None else game
        self.size, self.n_samples, self.pool_size = size, samples, pool
        self.attend = attend
        self.lambda_self, self.lambda_mask, self.flip = lambda_self, lambda_mask, flip
        self.adv_every, self.lr, self.betas = adv_every, lr, betas
        self.register_buffer("seed", torch.tensor(-1))  # of the samples; below 0: none drawn yet
        self.pool: Samples | None = None

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        players = [self.rearranger, self.critic, *([self.labeler] if self.labeler else [])]
        return [
            torch.optim.Adam(net.parameters(), self.lr, betas=self.betas, fused=True)
            for net in players
        ]

    def on_train_start(self) -> None:
        super().on_train_start()
        if self.seed < 0:
            drawn = torch.randint(2**31, (), generator=self.draws.rng)
            self.seed.copy_(drawn)
            rng = torch.Generator().manual_seed(int(drawn))
            f = open_many(self.generator, self.proxy, self.size, self.n_samples, rng).f
            self.proxy.fit(f, rng)
            self.rearranger.deviation.copy_(self.proxy.deviation)
            if self.attend:
                self.rearranger.attend(self.proxy.centroids)
        if self.pool_size is not None:
            rng = torch.Generator().manual_seed(int(self.seed) + 1)
            self.pool = open_many(self.generator, self.proxy, self.size, self.pool_size, rng)

    def training_step(self, batch: dict[str, Tensor]) -> None:
        x = batch["image"]
        i = self.drawn(len(x))
        if "rearranger" in self.stage.freeze:
            self.train_labeler(i)
            return
        opt_r, opt_d, *_ = self.optimizers()
        own = self.iteration % 2 == 0
        j = i if own else self.drawn(len(x))
        adversarial = self.plays(self.iteration, self.stage, self.stages[-1], self.adv_every)

        # Rearranger: keep to the mask, give back what is its own, pass for real.
        with self.toggled_optimizer(opt_r):
            f, skip = self.mirrored(i.f, i.skip) if own and self.flip else (i.f, i.skip)
            f_hat, skip_hat = self.rearranger(f, skip, j.mask)
            x_hat = self.generator.synthesis.images(f_hat, skip_hat, i.w)
            r_mask = F.cross_entropy(self.labels_of(x_hat, f_hat), j.mask)
            loss = self.lambda_mask * r_mask
            if own:
                unit = self.rearranger.deviation[:, None, None]
                r_self = ((f_hat - i.f) / unit).abs().mean() + (x_hat - i.image).abs().mean()
                loss = loss + self.lambda_self * r_self
                self.track(r_self=r_self)
            if adversarial:
                r_adv = self.game.generator_loss(self.critic(x_hat), lambda: self.critic(x))
                loss = loss + r_adv
                self.track(r_adv=r_adv)
            self.minimize(loss, opt_r)
        self.track(r_mask=r_mask)

        # Critic: tell real images from rearranged ones.
        if adversarial:
            with self.toggled_optimizer(opt_d):
                x_hat = x_hat.detach()
                d_real, d_fake = score_apart(self.critic, x, x_hat)
                d_adv = self.game.critic_loss(d_real, d_fake)
                slope = self.game.penalty(self.critic, x, x_hat, self.rand, self.iteration)
                self.minimize(d_adv + slope.loss, opt_d)
            self.track(d_adv=d_adv, **slope.terms)

    def train_labeler(self, i: Samples) -> None:
        """Let the labeler learn the proxy masks of the source's own images."""
        if self.labeler is None:
            raise InputError(
                f"the stage '{self.stage.name}' freezes the rearranger, so it is to train the "
                "labeler, but there is none: give one, or leave the stage out."
            )
        opt_t = self.optimizers()[2]
        with self.toggled_optimizer(opt_t):
            logits = self.labeler(i.image)
            t_mask = F.cross_entropy(logits, i.mask)
            self.minimize(t_mask, opt_t)
        self.track(t_mask=t_mask, t_accuracy=(logits.argmax(1) == i.mask).float().mean())

    def labels_of(self, x: Tensor, f: Tensor) -> Tensor:
        """Return logits (N, K, h, w) of the proxy mask of an image and its features."""
        if self.labeler is None:
            return self.proxy.likeness(f) / TEMPERATURE
        logits: Tensor = self.labeler(x)
        return logits

    def drawn(self, n: int) -> Samples:
        """Draw n samples of the source."""
        if self.pool is not None:
            return self.pool.at(self.randint(len(self.pool.f), n))
        w = self.generator.to_w(self.randn(n, self.generator.latent_dim))
        return opened(self.generator, self.proxy, self.size, w)

    def mirrored(self, *maps: Tensor) -> list[Tensor]:
        """Return maps (N, C, h, w) of which each image is mirrored or not, all alike."""
        coin = (self.rand(len(maps[0])) < 0.5)[:, None, None, None]
        return [torch.where(coin, each.flip(3), each) for each in maps]

    @staticmethod
    def plays(iteration: int, stage: Stage, last: Stage, adv_every: int) -> bool:
        """Tell whether an iteration of a stage has the adversarial loss."""
        return stage is last or (iteration + 1) % adv_every == 0

    def prior(self, n: int, rng: torch.Generator) -> dict[str, Tensor]:
        """Draw latents (n, latent_dim) of the images that give style and layout."""
        shape = (n, self.generator.latent_dim)
        return {"z": torch.randn(shape, generator=rng), "layout": torch.randn(shape, generator=rng)}

    @torch.no_grad()
    def generate(self, batch: dict[str, Tensor]) -> Tensor:
        i, j = self.of(batch["z"]), self.of(batch["layout"])
        images = self.generator.synthesis.images(*self.rearranger(i.f, i.skip, j.mask), i.w)
        return images.float().clamp(-1, 1)

    @torch.no_grad()
    def layouts(self, z: Tensor) -> tuple[Tensor, Tensor]:
        i = self.of(z)
        return i.image.float().clamp(-1, 1), i.mask

    def of(self, z: Tensor) -> Samples:
        """Return the samples of latents (N, latent_dim)."""
        return opened(self.generator, self.proxy, self.size, self.generator.to_w(z))

    def train(self, mode: bool = True) -> "SISUGRearranger":
        """Switch all networks but the frozen source."""
        super().train(mode)
        self.generator.eval()
        return self

    def release(self) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        """Return all networks, `generator` and `critic` among them; the split and the game."""
        networks = {
            "generator": self.generator,
            "critic": self.critic,
            "proxy": self.proxy,
            "rearranger": self.rearranger,
            **({"labeler": self.labeler} if self.labeler else {}),
        }
        return networks, {"size": self.size, **played(self.game, 1)}

    def released_settings(self) -> dict[str, Any]:
        return {"source": SELF}

    @classmethod
    def players_at(cls, iteration: int, stage: Stage, settings: Mapping[str, Any]) -> list[str]:
        if "rearranger" in stage.freeze:
            return ["labeler"]
        every = settings.get("adv_every", 5)
        last = settings["stages"][-1]
        name = last["name"] if isinstance(last, Mapping) else last.name
        return (
            ["rearranger", "critic"]
            if stage.name == name or (iteration + 1) % every == 0
            else ["rearranger"]
        )


def critic_of(source: Release, critic: nn.Module | None) -> nn.Module:
    """Return the critic that is given, or else the source's; InputError if it has none."""
    if critic is not None:
        return critic
    if "critic" not in source.networks:
        generator = as_generator(source.network("generator"))
        raise InputError(
            f"the source {source.folder} brings no critic: give a new one as critic, which starts "
            f"from scratch: {fresh_critic(generator)}"
        )
    return without_labels(source.network("critic"))
