"""StEP: a style encoder trained before the generator (Meshry et al. 2021, arXiv:2104.07098)."""

from collections.abc import Mapping
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from lit_synth.batches.sets import Nested, pairs
from lit_synth.contracts.translator import Translation
from lit_synth.errors import InputError
from lit_synth.features.neighbours import Neighbours, find_neighbours, nearest
from lit_synth.features.stages import StageLoss
from lit_synth.features.style_distance import GramDistance, StyleDistance
from lit_synth.features.style_images import StyleImages
from lit_synth.losses.adversarial import lsgan_discriminator_loss, lsgan_generator_loss
from lit_synth.losses.latents import triplet_loss
from lit_synth.losses.reconstruction import masked_l1
from lit_synth.losses.total import total
from lit_synth.method import Method
from lit_synth.networks.step import StEPMapper
from lit_synth.stages import Stage, check_weights, stage_at

TERMS = ["triplet", "translation", "imle"]
POOL = 10  # inputs of the mapper that are drawn for each code
FAR = 13  # furthest images whose hubs are counted, where negatives are any
JITTER = 0.01  # standard deviation of what is added to those that are kept


class StEP(Method):
    """Train E on triplets of style, then G(x, E(y)) to be y, then a mapper from noise to codes.

    What a stage trains is named by its `weights`. `triplet`: codes of images of near style are
    nearer than those of far style (section 3.1). `translation`: a GAN given x and the
    reconstruction of y from x and its code (section 3.2), where E is frozen at first and learns
    with G afterwards (3.3). `imle`: each code is what the mapper makes of the nearest of many
    random inputs (3.4).

    A code is z = mean + exp(log variance / 2) of E's two heads, without noise. Until a mapper has
    been trained, styles are drawn from N(mu, sigma) of the training images' codes.

    Follows https://github.com/MoustafaMeshry/StEP at 091d6ae and the paper's supplement: squared
    distances of codes, LSGAN without its 1/2, summed over scales, Adam with betas (0, .99), of the
    mapper (.5, .999). `lambda_rec` is for Caffe's VGG16: other networks see another scale.

    Deviations: triplets and the mapper's codes are drawn with replacement, not epoch by epoch. The
    adversarial terms are not halved as in the code. The mapper's error is a mean, not a sum, over
    images, and its learning rate falls as its stage says (published: times .7 every 50 epochs). An
    L1 reconstruction may be added (the code has it instead of the perceptual one).

    Args:
        encoder: Maps images to mean and log variance, each (N, style_dim).
        generator: Maps images (N, C, H, W) and codes to images in [-1, 1]; knows its `style_dim`.
        discriminator: Maps made images, joined to the given ones, to scores, a list of scales.
        mapper: Maps noise to codes, and knows the codes' mean and deviation.
        stages: Usually four: triplets; translation with `freeze: [encoder]`; translation; the
            mapper with `freeze: [encoder, generator]`.
        source: Name of the modality that is given, an image.
        target: Name of the modality that is made, an image, whose style is coded.
        mask: Name of labels in which what is not 0 has the style; None: all has.
        distance: Of styles, by which triplets are chosen; None: Gram matrices of the bundled
            network.
        k_near: A positive is one of so many nearest images.
        k_far: A negative is one of so many furthest images; None: any but the nearest.
        margin: Of the triplets.
        max_images: Images at most that triplets are chosen from, a seeded part of the training set.
        triplets: Triplets of an iteration and process.
        codes_at_once: Codes of an iteration and process that the mapper learns from.
        stale_epochs: Passes over the codes after which the mapper's inputs are drawn anew.
        perceptual: Path of VGG16's weights for the reconstruction; None: the bundled network.
        caffe: Are these Caffe's?
        lambda_gan: Weight of passing for real.
        lambda_rec: Weight of the perceptual reconstruction.
        lambda_l1: Weight of the L1 reconstruction.
        lambda_l2: Weight of the codes' mean square.
        lr: Adam learning rate of generator and discriminator.
        lr_encoder: Of the encoder.
        lr_mapper: Of the mapper.
    """

    def __init__(
        self,
        encoder: nn.Module,
        generator: nn.Module,
        discriminator: nn.Module,
        mapper: StEPMapper,
        stages: list[Stage],
        source: str = "a",
        target: str = "b",
        mask: str | None = None,
        distance: StyleDistance | None = None,
        k_near: int = 5,
        k_far: int | None = 13,
        margin: float = 0.1,
        max_images: int = 8000,
        triplets: int = 12,
        codes_at_once: int = 64,
        stale_epochs: int = 5,
        perceptual: str | None = None,
        caffe: bool = False,
        lambda_gan: float = 1.0,
        lambda_rec: float = 0.02,
        lambda_l1: float = 0.0,
        lambda_l2: float = 0.01,
        lr: float = 1e-3,
        lr_encoder: float = 1e-3,
        lr_mapper: float = 1e-2,
    ) -> None:
        super().__init__(stages)
        check_weights(stages, TERMS)
        _check_one_term(stages)
        self.encoder, self.generator, self.discriminator = encoder, generator, discriminator
        self.mapper = mapper
        self.style_dim = cast("int", generator.style_dim)
        self.source, self.target, self.mask = source, target, mask
        self.distance = distance
        self.k_near, self.k_far, self.margin = k_near, k_far, margin
        self.max_images, self.triplets = max_images, triplets
        self.codes_at_once, self.stale_epochs = codes_at_once, stale_epochs
        self.perceptual_path, self.caffe = perceptual, caffe
        self.lambda_gan, self.lambda_rec = lambda_gan, lambda_rec
        self.lambda_l1, self.lambda_l2 = lambda_l1, lambda_l2
        self.lr, self.lr_encoder, self.lr_mapper = lr, lr_encoder, lr_mapper
        for network in (encoder, generator, discriminator):
            network.to(memory_format=torch.channels_last)
        self.neighbours: Neighbours | None = None
        self.inputs: Tensor | None = None  # of the mapper, one for each code
        self._entered: Stage | None = None

    def setup(self, stage: str) -> None:
        if stage == "fit":
            data = getattr(self.trainer, "datamodule", None)
            self.images = StyleImages.of(data, self.target, self.mask, self.max_images)
            given = self.perceptual_path, self.caffe
            self.perceptual = StageLoss(*given) if self.lambda_rec else None

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        adam = partial(torch.optim.Adam, betas=(0.0, 0.99), fused=True)
        made = {"params": list(self.generator.parameters()), "lr": self.lr}
        coded = {"params": list(self.encoder.parameters()), "lr": self.lr_encoder}
        return [
            adam([made, coded]),
            adam(self.discriminator.parameters(), lr=self.lr),
            adam(self.mapper.parameters(), lr=self.lr_mapper, betas=(0.5, 0.999)),
        ]

    @classmethod
    def players_at(cls, iteration: int, stage: Stage, settings: Mapping[str, Any]) -> list[str]:  # noqa: ARG003 - as the stage says
        players = {"triplet": ["encoder"], "imle": ["mapper"]}
        return players.get(next(iter(stage.weights)), ["critic", "generator"])

    def on_train_batch_start(self, *args: Any) -> None:
        super().on_train_batch_start(*args)
        if self.stage is not self._entered:
            self._enter(self.stage)

    def training_step(self, batch: Nested) -> None:
        if "triplet" in self.stage.weights:
            self.order_codes()
        elif "imle" in self.stage.weights:
            self.map_noise()
        else:
            self.translate_pairs(*pairs(batch, self.source, self.target))

    # Stage 1.

    def order_codes(self) -> None:
        """Take a step of the encoder on triplets."""
        assert self.neighbours is not None, "found on entering the stage"
        opt_g, _, _ = self.optimizers()
        anchor = self.randint(len(self.neighbours.near), self.triplets)
        near, far = self.rand(self.triplets), self.rand(self.triplets)
        positive = self.neighbours.positives(anchor, near)
        draw = self.neighbours.strangers if self.k_far is None else self.neighbours.negatives
        negative = draw(anchor, far)
        y = self.images.at(torch.cat([anchor, positive, negative])).to(self.mapper.mean)

        # Encoder: the code of an image is nearer to its like's than to another's, by a margin.
        with self.toggled_optimizer(opt_g):
            z_a, z_p, z_n = self.code(y).chunk(3)
            e_triplet = triplet_loss(z_a, z_p, z_n, self.margin)
            e_size = total(z.square().mean() for z in (z_a, z_p, z_n))
            loss = e_triplet + self.lambda_l2 * e_size
            self.minimize(self.stage.weights["triplet"] * loss, opt_g)
        self.track(e_triplet=e_triplet, e_size=e_size)

    # Stages 2 and 3.

    def translate_pairs(self, x: Tensor, y: Tensor) -> None:
        """Take a step of the discriminator, and one of generator and encoder.

        Args:
            x: What is given (N, C, H, W).
            y: What belongs to it (N, C', H, W).
        """
        opt_g, opt_d, _ = self.optimizers()
        with self.toggled_optimizer(opt_g):
            z = self.code(y)
            y_made = self.generator(x, z)

        # Discriminator: score true pairs 1, and made ones 0. It gets them apart, as it compares
        # the images of a batch.
        with self.toggled_optimizer(opt_d):
            true, made = self.scores(y, x), self.scores(y_made.detach(), x)
            d_adv = total(lsgan_discriminator_loss(*both) for both in zip(true, made, strict=True))
            self.minimize(self.lambda_gan * d_adv, opt_d)

        # Generator, and the encoder where it is not frozen: pass for true, be y, keep codes small.
        with self.toggled_optimizer(opt_g):
            g_adv = total(lsgan_generator_loss(each) for each in self.scores(y_made, x))
            g_rec = self.perceptual(y_made, y) if self.perceptual else g_adv.new_zeros(())
            g_l1, g_size = masked_l1(y_made, y), z.square().mean()
            loss = self.lambda_gan * g_adv + self.lambda_rec * g_rec + self.lambda_l1 * g_l1
            loss = loss + self.lambda_l2 * g_size
            self.minimize(self.stage.weights["translation"] * loss, opt_g)
        self.track(d_adv=d_adv, g_adv=g_adv, g_rec=g_rec, g_l1=g_l1, g_size=g_size)

    # Stage 4.

    def map_noise(self) -> None:
        """Take a step of the mapper on codes and the inputs that belong to them."""
        *_, opt_m = self.optimizers()
        world = self.trainer.world_size
        length = max(1, len(self.codes) // (self.codes_at_once * world))
        if self.inputs is None or self._done() % (self.stale_epochs * length) == 0:
            self.inputs = self.nearest_inputs()
        which = self.randint(len(self.codes), self.codes_at_once)

        # Mapper: make each code of its input (IMLE, arXiv:1812.08985).
        with self.toggled_optimizer(opt_m):
            error = self.mapper(self.inputs[which]) - self.codes[which]
            m_imle = error.square().sum(dim=1).mean() / 2
            self.minimize(self.stage.weights["imle"] * m_imle, opt_m)
        self.track(m_imle=m_imle)

    @torch.no_grad()
    def nearest_inputs(self) -> Tensor:
        """Return for each code the input (N, style_dim), of many drawn, that is mapped nearest."""
        n = len(self.codes)
        noise = self.draws.shared_normal(POOL * n, self.style_dim).to(self.codes)
        jitter = self.draws.shared_normal(n, self.style_dim).to(self.codes)
        with torch.autocast(self.device.type, enabled=False):
            return noise[nearest(self.codes, self.mapper(noise))] + JITTER * jitter

    # What the steps are made of.

    def code(self, images: Tensor) -> Tensor:
        """Return the codes (N, style_dim) of images (N, C, H, W)."""
        mean, log_variance = self.encoder(images)
        return mean + (log_variance / 2).exp()

    def scores(self, y: Tensor, x: Tensor) -> list[Tensor]:
        """Return the discriminator's scores of images y and what was given for them."""
        return self.discriminator(torch.cat([y, x], dim=1))

    def _done(self) -> int:
        """Return how many iterations of the current stage are done."""
        index, _ = stage_at(self.stages, self.iteration)
        return self.iteration - sum(stage.iterations for stage in self.stages[:index])

    def _enter(self, stage: Stage) -> None:
        """Make what a stage goes on, from the beginning or where it was stopped."""
        self._entered = stage
        if "triplet" in stage.weights:
            k_far = FAR if self.k_far is None else self.k_far
            points = self.images.points(self.distance or GramDistance(), self.device)
            self.neighbours = find_neighbours(points, len(self.images), self.k_near, k_far)
            return
        first = self._done() == 0
        if first or "imle" in stage.weights:
            self.codes = self.images.codes(self.code, self.mapper.mean)
        if first:
            self.mapper.measure(self.codes)
            self.mapper.trained.fill_("imle" in stage.weights)

    # Translation.

    def translations(self) -> list[Translation]:
        return [Translation((self.source,), (self.target,))]

    @torch.no_grad()
    def translate(self, x: dict[str, Tensor], translation: Translation) -> Tensor:  # noqa: ARG002 - the only one
        given = x[self.source]
        style = x.get("style", self.mapper.mean.expand(len(given), -1))
        return self.generator(given, style).float().clamp(-1, 1)

    @torch.no_grad()
    def read_styles(self, images: Tensor, domain: str) -> Tensor:  # noqa: ARG002 - of the target
        return self.code(images)

    @torch.no_grad()
    def styles_of(self, noise: Tensor) -> Tensor:
        noise = noise.to(self.mapper.mean)
        return self.mapper(noise) if self.mapper.trained else self.mapper.independent(noise)

    @torch.no_grad()
    def independent_styles_of(self, noise: Tensor) -> Tensor:
        return self.mapper.independent(noise.to(self.mapper.mean))

    # Checkpoints and releases.

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["mapper_inputs"] = self.inputs

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        inputs = checkpoint["mapper_inputs"]
        self.inputs = None if inputs is None else inputs.to(self.device)

    def release(self) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        """Return encoder, generator and mapper; how many parameters, and how busy hubs are."""
        networks = {"encoder": self.encoder, "generator": self.generator, "mapper": self.mapper}
        counts = [p.numel() for network in networks.values() for p in network.parameters()]
        hubs = {"hubs": self.neighbours.hubs()} if self.neighbours else {}
        return networks, {"parameters": sum(counts), **hubs}

    def released_settings(self) -> dict[str, Any]:
        return {"distance": None, "perceptual": None}


def _check_one_term(stages: list[Stage]) -> None:
    for stage in stages:
        if len(stage.weights) != 1:
            raise InputError(
                f"stage '{stage.name}' weighs {', '.join(stage.weights) or 'nothing'}: expected "
                f"one of {', '.join(TERMS)}, which says what it trains."
            )
