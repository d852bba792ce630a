"""StarGAN v2: diverse images of many domains by one generator (Choi et al. 2020, 1912.01865)."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Adam, Optimizer

from lit_synth.augment.base import Augment
from lit_synth.augment.diffaugment import as_augment
from lit_synth.augment.feature_mix import MixUp, ReMix, mixed
from lit_synth.batches.labels import label_translations, labelled
from lit_synth.batches.sets import Nested
from lit_synth.contracts.translator import Translation
from lit_synth.errors import InputError
from lit_synth.losses.adversarial import logistic_discriminator_loss, logistic_generator_loss
from lit_synth.losses.penalties import scores_and_r1
from lit_synth.losses.total import total
from lit_synth.method import Method
from lit_synth.networks.stargan_v2 import (
    StarGANv2Discriminator,
    StarGANv2Encoder,
    StarGANv2Generator,
    StarGANv2Mapping,
)
from lit_synth.stages import Stage, check_weights

Kind = Literal["latent", "reference"]  # where styles come from
EDGES = "edges"  # where edges of an image are to stay: (N, 2, H, W) in [0, 1], at 32 px and above


class Plan(NamedTuple):
    """Who is to become what, (N,) each.

    Attributes:
        y: Own domains.
        t: Target domains, the same for partners.
        reference: Positions of images of the target domain.
        second: Positions of others of it.
        partner: Positions of others of the own domain.
        share: What is kept of each image where it is mixed with its partner, (N, 1); else None.
    """

    y: Tensor
    t: Tensor
    reference: Tensor
    second: Tensor
    partner: Tensor
    share: Tensor | None


class Made(NamedTuple):
    """What a generator's update looks at.

    Attributes:
        s: Styles that they are to have (N, style_dim).
        x_fake: Images (N, C, H, W) in these styles.
        x_mix: Mixtures (N, C, H, W) of those and of their partners, where there are any.
    """

    s: Tensor
    x_fake: Tensor
    x_mix: Tensor | None


class StarGANv2(Method):
    """Train G(x, s), s = F_y(z) of a latent or s = E_y(x) of a reference, against D_y.

    One iteration is four updates: of D by images in latent styles and by ones in the styles of
    references, then of G, F and E by latent styles, and of G alone by references. D has the log
    loss and R1 in each of its own, G the four terms of eq. 5.

    Follows https://github.com/clovaai/stargan-v2 at 875b70a. What two updates have in common is
    computed once: codes and latent images for D's updates and G's first, features of all images for
    both references and the way back.

    Deviations: references are images of the batch (there, drawn apart). Half of the images are
    partners of the other half and get its target domain, so that they can be mixed. No model of
    faces' landmarks finds masks: a generator with `high_pass` is trained without any, and
    translates by those that images come with, `edges`.

    A stage with `weights: {identity: w}` warms up: G and E alone learn G(x, E_y(x)) = x, an L1 of
    weight w.

    Args:
        generator: Maps images and styles to images.
        mapping: Maps latents to styles of domains.
        style_encoder: Maps images to styles of their domains.
        discriminator: Scores images as ones of domains.
        domains: Names of the domains, in the order of the networks' branches.
        stages: Usually one at a constant learning rate.
        lambda_sty: Weight of reading the style from the image (eq. 2).
        lambda_ds: Weight of the difference that two styles make (eq. 3) at the start.
        ds_iterations: Iterations over which it falls linearly to 0; None: all.
        lambda_cyc: Weight of the way back (eq. 4).
        lambda_r1: Weight of R1, half the squared slope of D on real images.
        lr: Adam's learning rate of G, E and D.
        f_lr: And of F.
        betas: Adam's decay rates.
        weight_decay: Adam's.
        augment: What is done to everything the discriminator sees: `ADA`, or a DiffAugment policy.
        remix: Mixes features; None: they are as they are.
        mixup: Mixes images of a domain, as sources and as real ones; None: they are as they are.
    """

    def __init__(
        self,
        generator: StarGANv2Generator,
        mapping: StarGANv2Mapping,
        style_encoder: StarGANv2Encoder,
        discriminator: StarGANv2Discriminator,
        domains: list[str],
        stages: list[Stage],
        lambda_sty: float = 1.0,
        lambda_ds: float = 2.0,
        ds_iterations: int | None = None,
        lambda_cyc: float = 1.0,
        lambda_r1: float = 1.0,
        lr: float = 1e-4,
        f_lr: float = 1e-6,
        betas: tuple[float, float] = (0.0, 0.99),
        weight_decay: float = 1e-4,
        augment: str | Augment = "",
        remix: ReMix | None = None,
        mixup: MixUp | None = None,
    ) -> None:
        super().__init__(stages)
        check_weights(stages, ["identity"])
        check_networks(domains, generator, mapping, style_encoder, discriminator)
        self.generator, self.mapping = generator, mapping
        self.style_encoder, self.discriminator = style_encoder, discriminator
        self.to(memory_format=torch.channels_last)
        self.domains, self.exclusive, self.exclusive_groups = domains, True, list[list[str]]()
        self.lambda_sty, self.lambda_ds, self.lambda_cyc = lambda_sty, lambda_ds, lambda_cyc
        self.ds_iterations, self.lambda_r1 = ds_iterations or self.total_iterations, lambda_r1
        self.lr, self.f_lr, self.betas, self.weight_decay = lr, f_lr, betas, weight_decay
        self.augment, self.remix, self.mixup = as_augment(augment), remix, mixup

    @classmethod
    def players_at(cls, iteration: int, stage: Stage, settings: Mapping[str, Any]) -> list[str]:  # noqa: ARG003 - all are alike
        if "identity" in stage.weights:
            return ["generator"]
        return 2 * ["critic"] + 2 * ["generator"]

    def configure_optimizers(self) -> list[Optimizer]:
        rates = {self.generator: self.lr, self.mapping: self.f_lr, self.style_encoder: self.lr}
        groups = [{"params": net.parameters(), "lr": lr} for net, lr in rates.items()]
        shared = {"betas": self.betas, "weight_decay": self.weight_decay, "fused": True}
        judge = self.discriminator.parameters()
        return [Adam(groups, **shared), Adam(judge, self.lr, **shared)]  # type: ignore[arg-type]  # torch types each of them

    def training_step(self, batch: Nested) -> None:
        x, y = self.images(batch)
        if "identity" in self.stage.weights:
            self.warm_up(x, y)
        else:
            self.play(x, y)

    def warm_up(self, x: Tensor, y: Tensor) -> None:
        """Have G and E learn to remake images (N, C, H, W) of domains (N,) in their own styles."""
        opt_g, _ = self.optimizers()
        with self.toggled_optimizer(opt_g):
            g_identity = F.l1_loss(self.generator(x, self.style_encoder(x, y)), x)
            self.minimize(self.stage.weights["identity"] * g_identity, opt_g)
        self.track(g_identity=g_identity)

    def play(self, x: Tensor, y: Tensor) -> None:
        """Take the four steps of the game with images (N, C, H, W) of domains (N,)."""
        plan = self.plan(y)
        if self.mixup and (lam := self.mixup.shares(len(x), self.rand, self.draws)) is not None:
            x = mixed(x, plan.partner, lam)
        z, z_2 = (self.randn(len(x), self.mapping.latent_dim) for _ in range(2))
        opt_g, opt_d = self.optimizers()

        # Codes, styles and images, once for D's updates and for G's first.
        with self.toggled_optimizer(opt_g):
            read = self.style_encoder.features(x)
            e, _ = self.generator.encode(x)
            latent = self.made(e, self.mapping(z, plan.t), plan)
            with torch.no_grad():
                s = self.style_encoder.styles(read[plan.reference], plan.t)
                guided = self.made(e, s, plan)

        # Discriminator: score the real above images in latent styles, and above those in the
        # styles of references (eq. 1), each time with R1.
        with self.toggled_optimizer(opt_d):
            self.minimize(self.judged(x, latent, plan, "latent"), opt_d)
            self.minimize(self.judged(x, guided, plan, "reference"), opt_d)

        # Generator, mapping and encoder: learn by latent styles (eq. 5).
        with self.toggled_optimizer(opt_g):
            with torch.no_grad():
                x_other = self.generator.decode(e, self.mapping(z_2, plan.t))
            s_own = self.style_encoder.styles(read, y)
            self.minimize(self.played(x, latent, x_other, s_own, plan, "latent"), opt_g)

        # Generator alone: learn by the styles of references, as the encoder now reads them (eq. 5).
        with self.toggled_optimizer(opt_g):
            with torch.no_grad():
                read = self.style_encoder.features(x)
                s, s_2 = (
                    self.style_encoder.styles(read[k], plan.t)
                    for k in (plan.reference, plan.second)
                )
                s_own = self.style_encoder.styles(read, y)
            e, _ = self.generator.encode(x)
            guided = self.made(e, s, plan)
            with torch.no_grad():
                x_other = self.generator.decode(e, s_2)
            self.minimize(self.played(x, guided, x_other, s_own, plan, "reference"), opt_g)

    def images(self, batch: Nested) -> tuple[Tensor, Tensor]:
        """Return the images (N, C, H, W) of a batch and their domains (N,), which take turns."""
        x, c = labelled(batch, self.domains)
        if len(x) // len(self.domains) % 2:
            raise InputError(
                f"there are {len(x) // len(self.domains)} images of each domain in a batch, but "
                "they go in pairs: give the data an even batch_size."
            )
        return x, c.argmax(dim=1)

    def plan(self, y: Tensor) -> Plan:
        """Draw what images of domains (N,), which take turns, are to become, and like whom."""
        n, k = len(y), len(self.domains)
        place = torch.arange(n, device=y.device)
        own, other = place // k * k, (place // k ^ 1) * k  # where own and others' domains begin
        partner = other + y
        t = self.randint(k, n)[torch.minimum(place, partner)]
        share = self.remix.shares(n, self.rand, self.draws) if self.remix else None
        return Plan(y, t, other + t, own + t, partner, share)

    def made(self, e: Tensor, s: Tensor, plan: Plan) -> Made:
        """Return what becomes of codes (N, c, h, w) in styles (N, style_dim)."""
        x_fake = self.generator.decode(e, s)
        if self.remix is None or plan.share is None:
            return Made(s, x_fake, None)
        s_mix = mixed(s, plan.partner, plan.share) if self.remix.mix_styles else s
        x_mix = self.generator.decode(mixed(e, plan.partner, plan.share), s_mix)
        return Made(s, x_fake, x_mix)

    def judged(self, x: Tensor, made: Made, plan: Plan, kind: Kind) -> Tensor:
        """Return the discriminator's loss of real images (N, C, H, W) and of what is made."""
        real, d_r1 = scores_and_r1(lambda image: self.score(image, plan.y), x)
        fake = torch.cat([self.score(image.detach(), plan.t) for image in self.shown(made)])
        d_adv = logistic_discriminator_loss(real, fake)
        r_t = real.detach().sign().mean()
        steered = self.augment.steer(r_t, len(x) * self.trainer.world_size)
        self.track(**{f"d_{kind}": d_adv}, d_r1=d_r1, **steered)
        return d_adv + self.lambda_r1 / 2 * d_r1

    def shown(self, made: Made) -> list[Tensor]:
        """Return the images (N, C, H, W) that the discriminator is shown as made."""
        if self.remix is None or made.x_mix is None:
            return [made.x_fake]
        found = {"plain": [made.x_fake], "mix": [made.x_mix], "both": [made.x_fake, made.x_mix]}
        return found[self.remix.discriminator_sees]

    def played(
        self, x: Tensor, made: Made, x_other: Tensor, s_own: Tensor, plan: Plan, kind: Kind
    ) -> Tensor:
        """Return the generator's loss.

        Args:
            x: Images (N, C, H, W).
            made: What becomes of them.
            x_other: The same in other styles of the target domains.
            s_own: Their own styles (N, style_dim).
            plan: Who becomes what.
            kind: Where the styles come from. The encoder learns by latent ones alone.
        """
        # Pass for the real (eq. 1), show the style (eq. 2), or be between two parents,
        x_seen = made.x_fake if made.x_mix is None else made.x_mix
        adv = logistic_generator_loss(self.score(x_seen, plan.t))
        code = self.code(x_seen, plan.t, kind)
        content = self.style_terms(code, made, plan)
        # differ by style (eq. 3), and find the way back (eq. 4).
        ds = F.l1_loss(made.x_fake, x_other)
        cyc = F.l1_loss(self.generator(made.x_fake, s_own), x)
        terms = {"adv": adv, **content, "ds": ds, "cyc": cyc}
        self.track(**{f"g_{name}_{kind}": term for name, term in terms.items()})
        lambda_ds = self.lambda_ds * max(0.0, 1 - self.iteration / self.ds_iterations)
        return (
            adv
            + self.lambda_sty * total(content.values())
            - lambda_ds * ds
            + (self.lambda_cyc * cyc)
        )

    def style_terms(self, code: Tensor, made: Made, plan: Plan) -> dict[str, Tensor]:
        """Return what is asked of the styles (N, style_dim) that made images show."""
        if self.remix is None or plan.share is None:
            return {"sty": F.l1_loss(code, made.s)}
        with torch.no_grad():
            other = self.mapping(self.randn(len(code), self.mapping.latent_dim), plan.t)
        relative = self.remix(code, made.s, made.s[plan.partner], other)
        return {"p": relative.p, "n": relative.n}

    def score(self, x: Tensor, domain: Tensor) -> Tensor:
        """Return the scores (N,) of images (N, C, H, W), augmented, as ones of domains (N,)."""
        return self.discriminator(self.augment(x, self.rand), domain)

    def code(self, x: Tensor, domain: Tensor, kind: Kind) -> Tensor:
        """Return the styles (N, style_dim) that made images show; by latent ones E learns."""
        if kind == "latent":
            return self.style_encoder(x, domain)
        fixed = {name: p.detach() for name, p in self.style_encoder.named_parameters()}
        return functional_call(self.style_encoder, fixed, (x, domain))

    # What it is asked for afterwards.

    @property
    def style_dim(self) -> int:
        """Length of the latents that styles are drawn as."""
        return self.mapping.latent_dim

    def translations(self) -> list[Translation]:
        return label_translations(self.domains, exclusive=True)

    @torch.no_grad()
    def translate(self, x: dict[str, Tensor], translation: Translation) -> Tensor:
        image, k = x[translation.sources[0]], self.domains.index(translation.target)
        style = x.get("style", image.new_zeros(len(image), self.style_dim))
        drawn = style.shape[1] == self.style_dim
        s = self.mapping(style, domains_of(image, k)) if drawn else style
        edges = torch.split(x[EDGES], 1, dim=1) if EDGES in x and self.generator.high_pass else None
        return self.generator(image, s, edges).to(image.dtype)

    @torch.no_grad()
    def read_styles(self, images: Tensor, domain: str) -> Tensor:
        k = self.domains.index(domain)
        return self.style_encoder(images, domains_of(images, k))

    def release(self) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        """Return the networks, the order of the domains, and the number of parameters to use."""
        used = {
            "generator": self.generator,
            "mapping": self.mapping,
            "style_encoder": self.style_encoder,
        }
        count = sum(p.numel() for network in used.values() for p in network.parameters())
        facts = {"domains": self.domains, "parameters": count}
        return {**used, "discriminator": self.discriminator}, facts

    def restore(self, tensors: Mapping[str, Tensor], extra: Mapping[str, Any]) -> None:
        own = {f"discriminator.{k}": t for k, t in self.discriminator.state_dict().items()}
        held = any(key in tensors for key in own)  # not in the files that the authors release
        super().restore(tensors if held else {**tensors, **own}, extra)


def domains_of(x: Tensor, k: int) -> Tensor:
    """Return k for each of the images x (N, ...): (N,)."""
    return torch.full((len(x),), k, device=x.device)


def check_networks(
    domains: list[str],
    generator: StarGANv2Generator,
    mapping: StarGANv2Mapping,
    style_encoder: StarGANv2Encoder,
    discriminator: StarGANv2Discriminator,
) -> None:
    """Raise InputError unless networks are of the same domains, styles and images."""
    if len(domains) < 2 or len(set(domains)) < len(domains):
        raise InputError(f"domains is {domains}: name two domains or more, each once.")
    judges = {"style_encoder": style_encoder, "discriminator": discriminator}
    for name, network in {"mapping": mapping, **judges}.items():
        if network.n_domains != len(domains):
            raise InputError(
                f"{name} has n_domains {network.n_domains}, but domains names {len(domains)}, "
                f"{', '.join(domains)}: give {name} n_domains {len(domains)}."
            )
    styles = {generator.style_dim, mapping.style_dim, style_encoder.style_dim}
    if len(styles) > 1 or mapping.latent_dim in styles:
        raise InputError(
            f"style_dim is {generator.style_dim} in the generator, {mapping.style_dim} in the "
            f"mapping and {style_encoder.style_dim} in the style encoder, and latent_dim "
            f"{mapping.latent_dim}: give the first three the same, and the last another, since "
            "what is drawn and what is read are told by their length."
        )
    for name, network in judges.items():
        if network.image_size != generator.image_size:
            raise InputError(
                f"{name} has image_size {network.image_size} and the generator "
                f"{generator.image_size}: give both the same."
            )
