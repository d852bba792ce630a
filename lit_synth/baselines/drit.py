"""DRIT: diverse translation by disentangled representations (Lee et al. 2018, 1808.00948)."""

from collections.abc import Mapping
from functools import partial
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Adam, Optimizer

from lit_synth.batches.sets import Nested, examples
from lit_synth.contracts.translator import Translation
from lit_synth.errors import InputError
from lit_synth.losses.adversarial import logistic_discriminator_loss, logistic_generator_loss
from lit_synth.losses.latents import kl_to_standard_normal
from lit_synth.losses.reconstruction import masked_l1, masked_l2
from lit_synth.losses.total import total
from lit_synth.method import Method
from lit_synth.networks.parts.norms import uncoupled
from lit_synth.networks.parts.rebuilding import another
from lit_synth.stages import Stage

CONTENT_LR = 1 / 2.5  # share of the learning rate that the content discriminator has
CLIP = 5.0  # and what the norm of its gradient is cut to
EPS = 1e-5  # in mode seeking, of a distance of images that is 0

Of = dict[str, Tensor]  # by domain


class DRIT(Method):
    """Train a content space that hides the domain, and for each domain one of attributes.

    An image x_i has content c_i = E^c_i(x_i) + N(0, 1) and attributes a_i ~ N(mu, sigma^2), both
    of E^a_i(x_i). G_j(c_i, a_j) takes x_i to domain j, and G_j(c_i, z), z ~ N(0, I), makes many of
    it. Encoders of content share their last layer, generators their first.

    Follows https://github.com/HsinYingLee/DRIT at f19f50a with `concat` and `no_ms`. The content
    discriminator moves in every iteration, and the others in every `d_iter`-th. No gradient of the
    latent regression reaches the attribute encoders: there, they are not moved by it.

    Deviations: encoders and generators take one step down all terms, as the paper writes them
    (there, a second one down those of z, whose gradient is of weights that the first has changed).
    Every image is both encoded and a real one beside random attributes (there, half a batch each).
    In mode seeking, both samples are judged and regressed alike, as a mean.

    Args:
        content_encoder: Maps images (N, C, H, W) to features; each domain gets one built alike.
        shared_layer: Maps features to features: one is built to end the content encoders, and one
            to begin the generators.
        attribute_encoder: Maps images to mean and log-variance (N, style_dim); one per domain.
        generator: Maps features and attributes to images in [-1, 1]; knows its `style_dim`;
            likewise.
        discriminator: Maps images to scores of any shape, a list of scales; each domain gets two,
            for encoded and for random attributes.
        content_discriminator: Maps content to scores of any shape.
        stages: Usually one at a constant learning rate and one as long with `decay: linear`.
        a: Name of the first domain.
        b: Name of the second.
        lambda_content: Weight of hiding the domain (L_adv^content).
        lambda_domain: Weight of passing for the real (L_adv^domain).
        lambda_cc: Weight of the cross-cycle (L_1^cc).
        lambda_recon: Weight of recovering images from their own codes (L_1^recon).
        lambda_latent: Weight of recovering random attributes (L_1^latent).
        lambda_kl: Weight of the attributes' divergence from N(0, I) (L_KL), and of the mean square
            of content.
        lambda_ms: Weight of mode seeking (arXiv:1903.05628), which later versions have at 1.
        d_iter: Iterations of the content discriminator to one of everything else.
        lr: Adam learning rate; the content discriminator's is 2.5 times smaller.
        betas: Adam's decay rates.
        weight_decay: Adam's.
    """

    def __init__(
        self,
        content_encoder: nn.Module,
        shared_layer: nn.Module,
        attribute_encoder: nn.Module,
        generator: nn.Module,
        discriminator: nn.Module,
        content_discriminator: nn.Module,
        stages: list[Stage],
        a: str = "a",
        b: str = "b",
        lambda_content: float = 1.0,
        lambda_domain: float = 1.0,
        lambda_cc: float = 10.0,
        lambda_recon: float = 10.0,
        lambda_latent: float = 10.0,
        lambda_kl: float = 0.01,
        lambda_ms: float = 0.0,
        d_iter: int = 3,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.5, 0.999),
        weight_decay: float = 1e-4,
    ) -> None:
        super().__init__(stages)
        if a == b:
            raise InputError(f"both domains are called '{a}': give a and b different names.")
        self.a, self.b, self.other = a, b, {a: b, b: a}
        self.content_encoders = nn.ModuleDict({i: another(content_encoder) for i in self.other})
        self.attribute_encoders = nn.ModuleDict({i: another(attribute_encoder) for i in self.other})
        self.generators = nn.ModuleDict({i: another(generator) for i in self.other})
        self.shared_encoder, self.shared_generator = another(shared_layer), another(shared_layer)
        uncoupled(discriminator)
        self.encoded_discriminators = nn.ModuleDict({i: another(discriminator) for i in self.other})
        self.random_discriminators = nn.ModuleDict({i: another(discriminator) for i in self.other})
        self.content_discriminator = content_discriminator
        self.style_dim = cast("int", generator.style_dim)
        self.to(memory_format=torch.channels_last)
        self.lambda_content, self.lambda_domain = lambda_content, lambda_domain
        self.lambda_cc, self.lambda_recon = lambda_cc, lambda_recon
        self.lambda_latent, self.lambda_kl, self.lambda_ms = lambda_latent, lambda_kl, lambda_ms
        self.d_iter, self.lr, self.betas, self.weight_decay = d_iter, lr, betas, weight_decay

    @classmethod
    def players_at(cls, iteration: int, stage: Stage, settings: Mapping[str, Any]) -> list[str]:  # noqa: ARG003 - of any stage
        everybody_moves = (iteration + 1) % settings["d_iter"] == 0
        return ["content_critic", *(["critic", "generator"] if everybody_moves else [])]

    def configure_optimizers(self) -> list[Optimizer]:
        codes = [self.content_encoders, self.shared_encoder, self.attribute_encoders]
        players = (
            nn.ModuleList([*codes, self.shared_generator, self.generators]),
            nn.ModuleList([self.encoded_discriminators, self.random_discriminators]),
        )
        adam = partial(Adam, lr=self.lr, betas=self.betas, weight_decay=self.weight_decay)
        generators, discriminators = (adam(p.parameters(), fused=True) for p in players)
        # Not fused: its gradient is cut, and a fused step would get it scaled in float16.
        content = adam(self.content_discriminator.parameters(), lr=CONTENT_LR * self.lr)
        return [generators, discriminators, content]

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        if optimizer is self.optimizers()[2].optimizer:
            nn.utils.clip_grad_norm_(self.content_discriminator.parameters(), CLIP)

    def training_step(self, batch: Nested) -> None:
        x = {i: examples(batch, i) for i in self.other}
        everybody_moves = (self.iteration + 1) % self.d_iter == 0
        opt_g, _, opt_c = self.optimizers()

        # Content, once for all that follows.
        with self.toggled_optimizer(opt_g), torch.set_grad_enabled(everybody_moves):
            c = {i: self.noisy(self.content(x[i], i)) for i in x}

        # Content discriminator: tell the domains apart (L_adv^content).
        with self.toggled_optimizer(opt_c):
            scores = {i: self.content_discriminator(c[i].detach()) for i in c}
            d_content = logistic_discriminator_loss(scores[self.b], scores[self.a])
            self.minimize(d_content, opt_c)
        self.track(d_content=d_content)
        if everybody_moves:
            self.play(x, c)

    def play(self, x: Of, c: Of) -> None:
        """Move the domains' discriminators, then encoders and generators.

        Args:
            x: Images (N, C, H, W).
            c: Their content, with the encoders' graph.
        """
        opt_g, opt_d, _ = self.optimizers()

        # Attributes, encoded and random, and what is made of them.
        samples = 2 if self.lambda_ms else 1
        z = {j: self.randn(samples * len(x[i]), self.style_dim) for j, i in self.other.items()}
        with self.toggled_optimizer(opt_g):
            q = {i: self.attributes(x[i], i) for i in x}
            s = {i: self.drawn(q[i]) for i in x}
            x_own, x_encoded, x_random = self.made(c, s, z)

        # Discriminators of encoded and of random attributes: tell the real from the made.
        with self.toggled_optimizer(opt_d):
            encoded, random = self.encoded_discriminators, self.random_discriminators
            d_encoded = total(d_loss(encoded[j], x[j], x_encoded[j].detach()) for j in x)
            d_random = total(d_loss(random[j], x[j], x_random[j].detach()) for j in x)
            self.minimize(d_encoded + d_random, opt_d)
        self.track(d_encoded=d_encoded, d_random=d_random)

        with self.toggled_optimizer(opt_g):
            # Encoders and generators: hide the domain (L_adv^content),
            g_content = total(undecided(self.content_discriminator(c[i])) for i in c)
            # pass for the real (L_adv^domain),
            g_encoded = total(g_loss(encoded[j], x_encoded[j]) for j in x)
            g_random = total(g_loss(random[j], x_random[j]) for j in x)
            # come back from two exchanges of attributes (L_1^cc) and from none (L_1^recon),
            g_cycle = self.cross_cycle(x, x_encoded)
            g_rec = total(masked_l1(x_own[i], x[i]) for i in x)
            # show random attributes (L_1^latent), and keep codes near the prior (L_KL).
            g_latent = total(self.latent_error(x_random[j], z[j], j) for j in x)
            g_kl = total(kl_to_standard_normal(*q[i]) + mean_square(c[i]) for i in x)
            loss = self.lambda_content * g_content + self.lambda_domain * (g_encoded + g_random)
            loss = loss + self.lambda_cc * g_cycle + self.lambda_recon * g_rec
            loss = loss + self.lambda_latent * g_latent + self.lambda_kl * g_kl
            if self.lambda_ms:
                g_ms = total(mode_seeking(x_random[j], z[j]) for j in x)
                loss = loss + self.lambda_ms * g_ms
                self.track(g_ms=g_ms)
            self.minimize(loss, opt_g)
        self.track(g_content=g_content, g_encoded=g_encoded, g_random=g_random)
        self.track(g_cycle=g_cycle, g_rec=g_rec, g_latent=g_latent, g_kl=g_kl)

    def made(self, c: Of, s: Of, z: Of) -> tuple[Of, Of, Of]:
        """Return what each domain's generator makes of its own content, and of the other's twice.

        Args:
            c: Content of N images of each domain.
            s: Their attributes, which go with either content.
            z: Attributes (N or 2N, style_dim) that go with the other's content, each or twice.
        """
        own, encoded, random = {}, {}, {}
        for j, i in self.other.items():
            n = len(c[i])
            content = torch.cat([c[j], c[i], *[c[i]] * (len(z[j]) // n)])
            y = self.decoded(content, torch.cat([s[j], s[j], z[j]]), j)
            own[j], encoded[j], random[j] = torch.split(y, [n, n, len(z[j])])
        return own, encoded, random

    def cross_cycle(self, x: Of, x_encoded: Of) -> Tensor:
        """Return the L1 distance of images from what a second exchange makes of the first's."""
        c = {i: self.noisy(self.content(x_encoded[j], j)) for j, i in self.other.items()}
        s = {j: self.drawn(self.attributes(x_encoded[j], j)) for j in x}
        return total(masked_l1(self.decoded(c[i], s[i], i), x[i]) for i in x)

    def latent_error(self, y: Tensor, z: Tensor, domain: str) -> Tensor:
        """Return the L1 distance of the attributes that images show from those they were made of.

        Whoever made the images is to blame: the attribute encoder gets no gradient.
        """
        encoder = self.attribute_encoders[domain]
        fixed = {name: p.detach() for name, p in encoder.named_parameters()}
        mean, _ = functional_call(encoder, fixed, (y,))
        return masked_l1(mean, z)

    def content(self, x: Tensor, domain: str) -> Tensor:
        """Return the content (N, c, h, w) of images (N, C, H, W) of a domain."""
        return self.shared_encoder(self.content_encoders[domain](x))

    def noisy(self, c: Tensor) -> Tensor:
        """Return content as it is in training, with standard normal noise."""
        return c + self.randn(*c.shape)

    def attributes(self, x: Tensor, domain: str) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance (N, style_dim) of the attributes of images of a domain."""
        mean, log_variance = self.attribute_encoders[domain](x)
        return mean.to(x.dtype), log_variance.to(x.dtype)  # float32 under autocast

    def drawn(self, q: tuple[Tensor, Tensor]) -> Tensor:
        """Draw from the normal distribution of this mean and log-variance, each (N, style_dim)."""
        mean, log_variance = q
        return mean + (0.5 * log_variance).exp() * self.randn(*mean.shape)

    def decoded(self, c: Tensor, s: Tensor, domain: str) -> Tensor:
        """Return images (N, C, H, W) of a domain with this content and these attributes."""
        return self.generators[domain](self.shared_generator(c), s)

    # What it is asked for afterwards.

    def translations(self) -> list[Translation]:
        return [Translation((self.a,), (self.b,)), Translation((self.b,), (self.a,))]

    @torch.no_grad()
    def translate(self, x: dict[str, Tensor], translation: Translation) -> Tensor:
        (i,), j = translation.sources, translation.target
        style = x.get("style", x[i].new_zeros(len(x[i]), self.style_dim))
        return self.decoded(self.content(x[i], i), style, j).to(x[i].dtype)

    @torch.no_grad()
    def read_styles(self, images: Tensor, domain: str) -> Tensor:
        return self.attributes(images, domain)[0]

    def release(self) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        """Return encoders and generators as `<network>_<domain>`, and the number of parameters."""
        kinds = {
            "content_encoder": self.content_encoders,
            "attribute_encoder": self.attribute_encoders,
            "generator": self.generators,
        }
        networks = {f"{kind}_{i}": net for kind, nets in kinds.items() for i, net in nets.items()}
        networks |= {
            "shared_encoder": self.shared_encoder,
            "shared_generator": self.shared_generator,
        }
        counts = [p.numel() for network in networks.values() for p in network.parameters()]
        return networks, {"parameters": sum(counts)}


def d_loss(discriminator: nn.Module, x: Tensor, x_fake: Tensor) -> Tensor:
    """Return a discriminator's loss on real and made images, summed over scales."""
    scores = discriminator(torch.cat([x, x_fake]))
    return total(logistic_discriminator_loss(t[: len(x)], t[len(x) :]) for t in scores)


def g_loss(discriminator: nn.Module, x_fake: Tensor) -> Tensor:
    """Return the generators' loss on made images, summed over scales."""
    return total(logistic_generator_loss(t) for t in discriminator(x_fake))


def undecided(scores: Tensor) -> Tensor:
    """Return the cross-entropy of a discriminator's probabilities with 1/2: least at scores 0."""
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, 0.5))


def mean_square(h: Tensor) -> Tensor:
    """Return the mean of squares, in float32 or wider."""
    return masked_l2(h, torch.zeros_like(h))


def mode_seeking(y: Tensor, z: Tensor) -> Tensor:
    """Return |z1 - z2| / |y1 - y2|, mean absolute differences (arXiv:1903.05628).

    Args:
        y: Images y1 and y2 (2N, C, H, W), one after the other.
        z: What they were made of (2N, style_dim), apart from content, in which they are alike.
    """
    return 1 / (masked_l1(*y.chunk(2)) / masked_l1(*z.chunk(2)) + EPS)
