"""IcGAN: invert a conditional GAN to edit images (Perarnau et al. 2016, arXiv:1611.06355)."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from lit_synth.batches.labels import (
    ATTRIBUTES,
    label_translations,
    labelled,
    rivals,
    target_labels,
)
from lit_synth.batches.sets import Nested
from lit_synth.contracts.translator import Translation
from lit_synth.errors import InputError
from lit_synth.losses.adversarial import logistic_discriminator_loss, logistic_generator_loss
from lit_synth.losses.reconstruction import masked_l2
from lit_synth.method import Method
from lit_synth.networks.icgan import IcGANDiscriminator, IcGANEncoder, IcGANGenerator
from lit_synth.networks.stargan import check_n_labels
from lit_synth.stages import Stage, check_weights

TERMS = ["gan", "encoder_z", "encoder_y"]


class IcGAN(Method):
    """Train G(z, y) as a conditional GAN; then E_z and E_y, that read z and y; edit y in between.

    A translation of x is G(E_z(x), y'): z is what labels do not say, and one z makes one image.

    Stages say what trains by their weights: `gan` (G and the discriminator D); `encoder_z`, on
    images that G, frozen, makes of random z; `encoder_y`, on real ones. Labels y are -1 and 1, of
    domains too.

    Follows https://github.com/Guim3/IcGAN at 0c73cf8: D scores real images with their labels above
    such with wrong ones and above made images, half a weight each. Labels of made images are those
    of the batch in another order.

    Deviations: images for E_z are made as they are needed, not once. The running statistics of G's
    norms are not estimated anew after training, so its learning rate should fall. Attributes of
    another image that are no others have one of them reversed (there, an image is drawn again).

    Args:
        generator: Maps z (N, latent_dim) and labels (N, K) in {-1, 1} to images.
        discriminator: Maps images and labels to logits (N,).
        encoder_z: Maps images to z.
        encoder_y: Maps images to labels; where `exclusive`, no translation asks it.
        domains: Names of the labels, in their order: domains, or attributes.
        stages: Usually `gan`, `encoder_z` and `encoder_y`, each of the weight of this name.
        exclusive: Has an image one label, its domain? Otherwise it has any number of attributes.
        exclusive_groups: Groups of attributes of which an image has at most one, such as the
            colours of its hair, as the data has them: one that is turned on turns the others off.
        lr: Adam learning rate of G and D.
        betas: Adam's decay rates of G and D.
        lr_encoder: Adam learning rate of both encoders.
        betas_encoder: Adam's decay rates of both encoders.
    """

    rivals: Tensor

    def __init__(
        self,
        generator: IcGANGenerator,
        discriminator: IcGANDiscriminator,
        encoder_z: IcGANEncoder,
        encoder_y: IcGANEncoder,
        domains: list[str],
        stages: list[Stage],
        exclusive: bool = True,
        exclusive_groups: list[list[str]] | None = None,
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
        lr_encoder: float = 1e-4,
        betas_encoder: tuple[float, float] = (0.1, 0.999),
    ) -> None:
        super().__init__(stages)
        check_weights(stages, TERMS)
        check_stages_train(stages)
        if exclusive and len(domains) < 2:
            raise InputError(f"domains is {domains}: exclusive ones are two or more.")
        n_labels = {"generator": generator.n_labels, "discriminator": discriminator.n_labels}
        check_n_labels(domains, **n_labels)
        self.latent_dim = generator.latent_dim
        check_out_dim("encoder_z", encoder_z, self.latent_dim, "the generator's latent_dim")
        check_out_dim("encoder_y", encoder_y, len(domains), "the number of domains")
        self.generator, self.discriminator = generator, discriminator
        self.encoder_z, self.encoder_y = encoder_z, encoder_y
        self.domains, self.exclusive = domains, exclusive
        self.exclusive_groups = exclusive_groups or []
        self.register_buffer("rivals", rivals(domains, self.exclusive_groups), persistent=False)
        self.lr, self.betas = lr, betas
        self.lr_encoder, self.betas_encoder = lr_encoder, betas_encoder

    @classmethod
    def players_at(cls, iteration: int, stage: Stage, settings: Mapping[str, Any]) -> list[str]:  # noqa: ARG003 - stages decide alone
        game = ["critic", "generator"] if "gan" in stage.weights else []
        return game + ["encoder"] * bool({"encoder_z", "encoder_y"} & set(stage.weights))

    def configure_optimizers(self) -> list[Optimizer]:
        game, encoders = (self.generator, self.discriminator), (self.encoder_z, self.encoder_y)
        return [
            *(Adam(net.parameters(), self.lr, self.betas, fused=True) for net in game),
            *(
                Adam(net.parameters(), self.lr_encoder, self.betas_encoder, fused=True)
                for net in encoders
            ),
        ]

    def training_step(self, batch: Nested) -> None:
        x, c = labelled(batch, self.domains)
        if "gan" in self.stage.weights:
            self.play(x, c)
        if "encoder_z" in self.stage.weights:
            self.learn_z(c)
        if "encoder_y" in self.stage.weights:
            self.learn_y(x, c)

    def play(self, x: Tensor, c: Tensor) -> None:
        """Take a step of the game with images (N, C, H, W) of labels (N, K) in {0, 1}."""
        weight = self.stage.weights["gan"]
        opt_g, opt_d, _, _ = self.optimizers()
        y, y_wrong, y_made = signs(c), signs(self.wrong(c)), signs(self.shuffled(c))
        z = self.randn(len(x), self.latent_dim)
        with self.toggled_optimizer(opt_g):
            x_made = self.generator(z, y_made)

        # Discriminator: tell images with their labels from such with others and from made ones.
        with self.toggled_optimizer(opt_d):
            real, wrong = self.discriminator(x, y), self.discriminator(x, y_wrong)
            made = self.discriminator(x_made.detach(), y_made)
            d_wrong = logistic_discriminator_loss(real, wrong)
            d_made = logistic_discriminator_loss(real, made)
            self.minimize(weight * (d_wrong + d_made) / 2, opt_d)

        # Generator: pass for the real.
        with self.toggled_optimizer(opt_g):
            g_adv = logistic_generator_loss(self.discriminator(x_made, y_made))
            self.minimize(weight * g_adv, opt_g)
        self.track(d_wrong=d_wrong, d_made=d_made, g_adv=g_adv)

    def learn_z(self, c: Tensor) -> None:
        """Have E_z find the z of images that G makes for labels (N, K) in {0, 1}."""
        _, _, opt_z, _ = self.optimizers()
        z = self.randn(len(c), self.latent_dim)
        with self.toggled_optimizer(opt_z):
            with torch.no_grad():
                x_made = self.generator(z, signs(c))
            z_rec = masked_l2(self.encoder_z(x_made), z)
            self.minimize(self.stage.weights["encoder_z"] * z_rec, opt_z)
        self.track(z_rec=z_rec)

    def learn_y(self, x: Tensor, c: Tensor) -> None:
        """Have E_y read the labels (N, K) in {0, 1} of images (N, C, H, W)."""
        *_, opt_y = self.optimizers()
        with self.toggled_optimizer(opt_y):
            y_rec = masked_l2(self.encoder_y(x), signs(c))
            self.minimize(self.stage.weights["encoder_y"] * y_rec, opt_y)
        self.track(y_rec=y_rec)

    def wrong(self, c: Tensor) -> Tensor:
        """Return other labels than these, (N, K) in {0, 1}, each of them one that images have.

        Another domain, equally often each; or the attributes of another image and, should they be
        the same, one of them reversed.
        """
        n, k = c.shape
        if self.exclusive:
            return F.one_hot((c.argmax(dim=1) + 1 + self.randint(k - 1, n)) % k, k).to(c)
        others = self.shuffled(c)
        reversed_ = (c - F.one_hot(self.randint(k, n), k).to(c)).abs()
        return torch.where((others == c).all(dim=1, keepdim=True), reversed_, others)

    # What it is asked for afterwards.

    def translations(self) -> list[Translation]:
        return label_translations(self.domains, self.exclusive)

    @torch.no_grad()
    def translate(self, x: dict[str, Tensor], translation: Translation) -> Tensor:
        image, c = self.asked(x, translation)
        return self.generator(self.encoder_z(image), signs(c)).to(image.dtype)

    def asked(self, x: dict[str, Tensor], translation: Translation) -> tuple[Tensor, Tensor]:
        """Return the images (N, C, H, W) to translate and their target labels (N, K) in {0, 1}.

        An attribute is the reverse of what `x["attributes"]` says of it; where nothing does, it is
        1, and the others are what E_y reads.
        """
        image, k = x[translation.sources[0]], self.domains.index(translation.target)
        if self.exclusive:
            c = image.new_zeros(len(image), len(self.domains))
        elif ATTRIBUTES in x:
            c = x[ATTRIBUTES].to(image)
        else:
            c = (self.encoder_y(image) > 0).to(image)
            c[:, k] = 0
        return image, target_labels(c, k, self.rivals[k])

    def release(self) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        """Return all networks, the order of the labels, and how many parameters G and E_z have."""
        makers = (self.generator, self.encoder_z)
        count = sum(p.numel() for network in makers for p in network.parameters())
        return dict(self.named_children()), {"domains": self.domains, "parameters": count}


def signs(c: Tensor) -> Tensor:
    """Turn labels in {0, 1} to {-1, 1}."""
    return 2 * c - 1


def check_stages_train(stages: list[Stage]) -> None:
    """Raise InputError if a stage trains nothing, or E_z on a generator that still changes."""
    for stage in stages:
        if not stage.weights:
            raise InputError(
                f"stage '{stage.name}' trains nothing: give it weights, of {', '.join(TERMS)}."
            )
        if "encoder_z" in stage.weights and "generator" not in stage.freeze:
            raise InputError(
                f"stage '{stage.name}' trains encoder_z on images of a generator that is not "
                "frozen: give it freeze: [generator]."
            )


def check_out_dim(name: str, encoder: IcGANEncoder, wanted: int, meaning: str) -> None:
    """Raise InputError unless an encoder reads as many numbers as are wanted."""
    if encoder.out_dim != wanted:
        raise InputError(
            f"{name} has out_dim {encoder.out_dim}, but {meaning} is {wanted}: give both the same."
        )
