"""2 x pix2pix: a cascade of two translations, each learned from pairs (thesis section 4.6.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lit_synth.batches.coding import Coding
from lit_synth.batches.sets import Nested, pairs
from lit_synth.contracts.translator import Translation
from lit_synth.errors import InputError
from lit_synth.losses.adversarial import logistic_discriminator_loss, logistic_generator_loss
from lit_synth.method import Method
from lit_synth.stages import Stage


@dataclass
class Link:
    """One translation of the cascade, and its networks.

    Attributes:
        source: Name of the modality that is given.
        target: Name of the modality that is made.
        generator: Maps codes of the source (N, c, H, W) to (N, c', H, W) of the target.
        discriminator: Maps both, joined to (N, c + c', H, W), to realness, of any shape; None: the
            reconstruction alone.
    """

    source: str
    target: str
    generator: nn.Module
    discriminator: nn.Module | None = None


class TwoPix2Pix(Method):
    """Train x -> y and y -> z, each on pairs of its own; what is made of x is made of y in turn.

    Neither knows the other: the second one, trained on true y, gets a made y at test. Each trains
    as pix2pix does (Isola et al. 2017, arXiv:1611.07004): the logistic GAN loss on pairs, halved
    for the discriminator, and the target modality's reconstruction.

    Args:
        codings: Modality -> how it enters and leaves networks, and its reconstruction.
        links: The two translations, the second one from what the first one makes.
        stages: Usually one at a constant learning rate and one with `decay: linear`.
        lambda_rec: Weight of the reconstructions.
        lr: Adam learning rate of all networks.
        betas: Adam's decay rates.
    """

    def __init__(
        self,
        codings: dict[str, Coding],
        links: list[Link],
        stages: list[Stage],
        lambda_rec: float = 100.0,
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
    ) -> None:
        super().__init__(stages)
        check_chain(links, codings)
        self.codings = codings
        self.links = [Translation((link.source,), (link.target,)) for link in links]
        named = dict(zip((link.name for link in self.links), links, strict=True))
        self.generators = nn.ModuleDict({name: link.generator for name, link in named.items()})
        self.discriminators = nn.ModuleDict(
            {name: link.discriminator for name, link in named.items() if link.discriminator}
        )
        self.lambda_rec, self.lr, self.betas = lambda_rec, lr, betas

    @classmethod
    def players_at(cls, iteration: int, stage: Stage, settings: Mapping[str, Any]) -> list[str]:  # noqa: ARG003 - settings decide alone
        games = [link for link in settings["links"] if link.get("discriminator")]
        return ["critic", "generator"] if games else ["generator"]

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            torch.optim.Adam(player.parameters(), self.lr, betas=self.betas, fused=True)
            for player in (self.generators, self.discriminators)
            if len(player)
        ]

    def training_step(self, batch: Nested) -> None:
        opt_g, *opt_d = self.optimizers()
        for link in self.links:
            source, target = self.codings[link.sources[0]], self.codings[link.target]
            x_data, y_data = pairs(batch, link.sources[0], link.target)
            x, y = source.encode(x_data), target.encode(y_data)
            y_made = self.generators[link.name](x)
            x_y, x_fake = torch.cat([x, y], 1), torch.cat([x, target.soften(y_made)], 1)

            # Discriminator: tell true pairs from made ones, apart (pix2pix, eq. 1, halved).
            if link.name in self.discriminators:
                judge = self.discriminators[link.name]
                with self.toggled_optimizer(opt_d[0]):
                    d_adv = logistic_discriminator_loss(judge(x_y), judge(x_fake.detach())) / 2
                    self.minimize(d_adv, opt_d[0])
                self.track(**{f"d_adv_{link.name}": d_adv})

            with self.toggled_optimizer(opt_g):
                # Generator: stay near the target, in its own measure (pix2pix, eq. 3),
                g_rec = target.reconstruction(y_made, y_data)
                g_loss = self.lambda_rec * g_rec
                self.track(**{f"g_rec_{link.name}": g_rec})
                # and pass for true (pix2pix, eq. 1, not saturating).
                if link.name in self.discriminators:
                    g_adv = logistic_generator_loss(judge(x_fake))
                    g_loss = g_loss + g_adv
                    self.track(**{f"g_adv_{link.name}": g_adv})
                self.minimize(g_loss, opt_g)

    def translations(self) -> list[Translation]:
        first, second = self.links
        return [first, second, Translation(first.sources, (*first.route, *second.route))]

    @torch.no_grad()
    def translate(self, x: dict[str, Tensor], translation: Translation) -> Tensor:
        (source,) = translation.sources
        made = x[source]
        for target in translation.route:
            generator = self.generators[Translation((source,), (target,)).name]
            made = self.codings[target].decode(generator(self.codings[source].encode(made)))
            source = target
        return made

    def release(self) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        """Return `generator_<link>` and `discriminator_<link>` for each link."""
        networks: dict[str, nn.Module] = {f"generator_{n}": g for n, g in self.generators.items()}
        networks |= {f"discriminator_{n}": d for n, d in self.discriminators.items()}
        return networks, {}


def check_chain(links: list[Link], codings: dict[str, Coding]) -> None:
    """Raise InputError unless there are two links that fit together and to the codings."""
    listed = ", ".join(f"{link.source} to {link.target}" for link in links)
    if len(links) != 2 or links[0].target != links[1].source:
        raise InputError(
            f"links are {listed or 'missing'}: expected two, the second one from what the first "
            "one makes, such as depth to rgb, rgb to segmentation."
        )
    for name in {end for link in links for end in (link.source, link.target)} - set(codings):
        raise InputError(
            f"links are {listed}, but there are codings of {', '.join(codings)} only: add "
            f"'{name}' to codings."
        )
