"""StarGAN (Choi et al. 2018, arXiv:1711.09020) for modalities, the baseline of thesis chapter 4."""

from collections.abc import Iterator
from itertools import permutations
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_synth.batches.coding import Coding
from lit_synth.batches.sets import Nested, holding
from lit_synth.contracts.translator import Translation
from lit_synth.errors import InputError
from lit_synth.losses.adversarial import wasserstein_critic_loss, wasserstein_generator_loss
from lit_synth.losses.penalties import gradient_penalty
from lit_synth.method import Method
from lit_synth.networks.stargan_modalities import ModalityDiscriminator, ModalityGenerator
from lit_synth.stages import Stage


class Turn(NamedTuple):
    """A translation that an iteration trains, and its data.

    Attributes:
        source: Name of the modality that is given.
        target: Name of the modality that is asked for.
        x: Data of the source (N, ...).
        y: Data of the target (N, ...).
        paired: Do x and y show the same scenes?
    """

    source: str
    target: str
    x: Tensor
    y: Tensor
    paired: bool


class StarGANModalities(Method):
    """Train one G(x, t) for all pairs of modalities against D(y) = (realness, modality logits).

    Follows https://github.com/yunjey/stargan at 94dd002 (WGAN-GP, five discriminator steps to one).
    Modalities have channels of their own, so that both networks have a first layer, and G a last
    one, for each (thesis section 4.6.2). That layer gives the modality away: its classification
    asks little here. Every modality is a source and a target once per iteration, and the pairs take
    turns from one generator step to the next.

    `StarGAN(unpaired)` is lambda_cycle 10 and lambda_paired 0, `StarGAN(paired)` the reverse.

    Args:
        codings: Modality -> how it enters and leaves networks, and its reconstruction.
        stages: Usually one at a constant learning rate and one with `decay: linear`.
        width: Channels of the first layers (StarGAN: 64).
        n_residual: Residual blocks of the generator.
        d_layers: Convolutions of stride 2 of the discriminator; 2^d_layers pixels are the least.
        lambda_cls: Weight of naming the modality (eq. 5, 6).
        lambda_cycle: Weight of the L1 cycle (eq. 6), between network codes.
        lambda_paired: Weight of the target's reconstruction, where a training set has the pair.
        lambda_gp: Weight of the gradient penalty (eq. 8).
        n_critic: Discriminator steps per generator step.
        lr: Adam learning rate of both networks.
        betas: Adam's decay rates.
    """

    def __init__(
        self,
        codings: dict[str, Coding],
        stages: list[Stage],
        width: int = 64,
        n_residual: int = 6,
        d_layers: int = 6,
        lambda_cls: float = 1.0,
        lambda_cycle: float = 10.0,
        lambda_paired: float = 0.0,
        lambda_gp: float = 10.0,
        n_critic: int = 5,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.5, 0.999),
    ) -> None:
        super().__init__(stages)
        if len(codings) < 2:
            raise InputError(f"codings has {len(codings)} modalities: expected two or more.")
        channels = {name: coding.channels for name, coding in codings.items()}
        images = [name for name, coding in codings.items() if coding.kind == "image"]
        self.codings = codings
        self.generator = ModalityGenerator(channels, width, n_residual, images)
        self.discriminator = ModalityDiscriminator(channels, width, d_layers)
        self.lambda_cls, self.lambda_cycle, self.lambda_gp = lambda_cls, lambda_cycle, lambda_gp
        self.lambda_paired = lambda_paired
        self.n_critic, self.lr, self.betas = n_critic, lr, betas

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            torch.optim.Adam(net.parameters(), self.lr, betas=self.betas, fused=True)
            for net in (self.generator, self.discriminator)
        ]

    def training_step(self, batch: Nested) -> None:
        turns = list(self.turns(batch))
        opt_g, opt_d = self.optimizers()

        # Discriminator: score true modalities above made ones, and name the true ones (eq. 5).
        with self.toggled_optimizer(opt_d):
            terms = torch.stack([self.discriminator_terms(turn) for turn in turns])
            d_adv, d_cls, d_gp = terms.sum(dim=0)
            self.minimize(d_adv + self.lambda_cls * d_cls + self.lambda_gp * d_gp, opt_d)
        self.track(d_adv=d_adv, d_cls=d_cls, d_gp=d_gp)

        # Generator: raise the score, be named as the target, find the way back, and be right
        # where that is known (eq. 6).
        if (self.iteration + 1) % self.n_critic == 0:
            with self.toggled_optimizer(opt_g):
                terms = torch.stack([self.generator_terms(turn) for turn in turns])
                g_adv, g_cls, g_cycle, g_rec = terms.sum(dim=0)
                rec = self.lambda_cycle * g_cycle + self.lambda_paired * g_rec
                self.minimize(g_adv + self.lambda_cls * g_cls + rec, opt_g)
            self.track(g_adv=g_adv, g_cls=g_cls, g_cycle=g_cycle, g_rec=g_rec)

    def turns(self, batch: Nested) -> Iterator[Turn]:
        """Yield this iteration's translations: each modality is a source and a target once.

        Which one follows which changes with every generator step, and so do the sets that the
        data comes from; each translation takes pairs where a set has them.
        """
        names, step = list(self.codings), self.iteration // self.n_critic
        lap, shift = divmod(step, len(names) - 1)
        for position, source in enumerate(names):
            target = names[(position + 1 + shift) % len(names)]
            both = [each for each in batch.values() if source in each and target in each]
            xs, ys = (both or holding(batch, name) for name in (source, target))
            x, y = xs[lap % len(xs)][source], ys[lap % len(ys)][target]
            yield Turn(source, target, x, y, paired=bool(both))

    def discriminator_terms(self, turn: Turn) -> Tensor:
        """Return the terms of the discriminator (3,): adversarial, classification, penalty."""
        with torch.no_grad():
            y_fake = self.codings[turn.target].soften(self.make(turn))
        y = self.codings[turn.target].encode(turn.y)
        realness, logits = self.discriminator(torch.cat([y, y_fake]), turn.target)
        d_adv = wasserstein_critic_loss(*realness.chunk(2))
        d_cls = F.cross_entropy(logits[: len(y)].float(), self.label(turn))
        d_gp = gradient_penalty(
            lambda mix: self.discriminator(mix, turn.target)[0],
            y,
            y_fake,
            self.rand(len(y), 1, 1, 1),
        )
        return torch.stack([d_adv, d_cls, d_gp])

    def generator_terms(self, turn: Turn) -> Tensor:
        """Return the terms of the generator (4,): adversarial, classification, cycle, pairs."""
        source, target = self.codings[turn.source], self.codings[turn.target]
        y_made = self.make(turn)
        y_fake = target.soften(y_made)
        realness, logits = self.discriminator(y_fake, turn.target)
        g_adv = wasserstein_generator_loss(realness)
        g_cls = F.cross_entropy(logits.float(), self.label(turn))
        g_cycle = g_rec = torch.zeros_like(g_adv)
        if self.lambda_cycle:
            x_back = source.soften(self.generator(y_fake, turn.target, turn.source))
            g_cycle = F.l1_loss(x_back, source.encode(turn.x))
        if self.lambda_paired and turn.paired:
            g_rec = target.reconstruction(y_made, turn.y)
        return torch.stack([g_adv, g_cls, g_cycle, g_rec])

    def make(self, turn: Turn) -> Tensor:
        """Return the generator's output (N, channels, H, W) for the target."""
        x = self.codings[turn.source].encode(turn.x)
        return self.generator(x, turn.source, turn.target)

    def label(self, turn: Turn) -> Tensor:
        """Return the position (N,) of the target among the modalities."""
        number = list(self.codings).index(turn.target)
        return torch.full((len(turn.x),), number, device=self.device)

    def translations(self) -> list[Translation]:
        return [Translation((a,), (b,)) for a, b in permutations(self.codings, 2)]

    @torch.no_grad()
    def translate(self, x: dict[str, Tensor], translation: Translation) -> Tensor:
        (source,), target = translation.sources, translation.target
        y = self.generator(self.codings[source].encode(x[source]), source, target)
        return self.codings[target].decode(y)
