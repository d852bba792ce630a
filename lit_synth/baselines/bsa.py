"""BSA: adapt a GAN's feature statistics to few images (Noguchi & Harada 2019, arXiv:1904.01774)."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from lit_synth.contracts.generator import as_generator
from lit_synth.errors import InputError
from lit_synth.features.base import Extractor
from lit_synth.losses.latents import latent_emd
from lit_synth.method import Method
from lit_synth.networks.parts.norms import BatchNorm
from lit_synth.releases.format import SELF, load_release
from lit_synth.stages import Stage

PIXELS_AT_START = 4 * 4  # every generator's first linear layer makes a map of 4x4 pixels


class BSA(Method):
    """Learn a scale and a shift per channel of a frozen generator, and a latent per training image.

    They make the generator reconstruct every training image from its latent, while the latents stay
    spread like the prior. New images come from the prior truncated near 0.

    Follows https://github.com/nogu-atsu/small-dataset-image-generation at d4a5de2: L1 (the thesis
    says mean squared error), running statistics in every batch norm, latents from 0.

    Deviations: the scales and shifts come after the first linear layer and every batch norm, or
    every convolution but the last in a generator without norms. The linear layer stays frozen (in
    the reference its learning rate of 1e-7 hardly moves it). One layer of an injected feature
    network replaces nine of VGG-16. The learning rate drops once, to a fifth after two thirds of
    the iterations (reference: every 3,000 of 10,000), on top of what a stage does to it.

    Args:
        source: Release with an unconditional `generator`: a folder or a bundled name.
        n_images: Number of training images; batches give their positions as `index`.
        stages: Usually one.
        features: Frozen network for the feature term; none leaves the term out.
        truncation: Largest absolute coordinate of a sampled latent.
        lambda_feature: Weight of the L1 distance of features.
        lambda_emd: Weight of the earth mover's distance between latents and prior.
        lambda_scale: Weight of the squared distance of scales from 1 and of shifts from 0.
        lr: Adam learning rate.
    """

    def __init__(
        self,
        source: str,
        n_images: int,
        stages: list[Stage],
        features: Extractor | None = None,
        truncation: float = 0.3,
        lambda_feature: float = 0.001,
        lambda_emd: float = 0.1,
        lambda_scale: float = 0.02,
        lr: float = 0.03,
    ) -> None:
        super().__init__(stages)
        self.generator = as_generator(load_release(source).network("generator"))
        self.generator.requires_grad_(False)
        if self.generator.num_classes:
            raise InputError(
                f"the generator of {source} has {self.generator.num_classes} classes, but BSA "
                "adapts an unconditional one: give another source."
            )
        self.features = features
        self.adapted_layers = adapted_layers(self.generator)
        widths = [
            len(self.generator.get_parameter(f"{name}.bias")) // pixels
            for name, pixels in self.adapted_layers.items()
        ]
        self.scales = nn.ParameterList([torch.ones(width) for width in widths])
        self.shifts = nn.ParameterList([torch.zeros(width) for width in widths])
        self.latents = nn.Parameter(torch.zeros(n_images, self.generator.latent_dim))
        self.truncation, self.lr = truncation, lr
        self.lambda_feature, self.lambda_emd = lambda_feature, lambda_emd
        self.lambda_scale = lambda_scale

    def configure_optimizers(self) -> torch.optim.Optimizer:
        learned = [*self.scales, *self.shifts, self.latents]
        return torch.optim.Adam(learned, self.lr, fused=True)

    def training_step(self, batch: dict[str, Tensor]) -> None:
        x, index = batch["image"], batch["index"]
        (opt,) = self.optimizers()
        if 3 * self.iteration >= 2 * self.total_iterations:
            opt.param_groups[0]["lr"] *= 0.2  # of the stage's rate, which each iteration sets anew

        # Scales, shifts and latents: reconstruct, spread like the prior, stay close to the source.
        z = self.latents_of(index)
        x_rec = self.decode(z + 0.01 * self.randn(*z.shape))
        rec = F.l1_loss(x_rec, x)
        feature = self.feature_distance(x_rec, x)
        emd = latent_emd(z, self.randn(10 * len(z), z.shape[1]))
        scale = self.distance_from_source()
        self.minimize(
            rec + self.lambda_feature * feature + self.lambda_emd * emd + self.lambda_scale * scale,
            opt,
        )
        self.track(rec=rec, feature=feature, emd=emd, scale=scale)

    def latents_of(self, index: Tensor) -> Tensor:
        """Return the latents (N, latent_dim) of the training images at positions (N,)."""
        if int(index.max()) >= len(self.latents):
            raise InputError(
                f"n_images is {len(self.latents)}, but a batch holds training image "
                f"{int(index.max())}: set n_images to the number of training images."
            )
        return self.latents[index]

    def decode(self, z: Tensor) -> Tensor:
        """Return images (N, C, H, W) of the adapted generator for z (N, latent_dim)."""
        return functional_call(self.generator, self.adapted_tensors(), (z,))

    def adapted_tensors(self) -> dict[str, Tensor]:
        """Return weights and biases with scale and shift folded in, by their names.

        scale (W x + b) + shift = (scale W) x + (scale b + shift): networks need no new layers.
        """
        adapted = {}
        pairs = zip(self.adapted_layers.items(), self.scales, self.shifts, strict=True)
        for (name, pixels), scale, shift in pairs:
            layer = self.generator.get_submodule(name)
            weight = self.generator.get_parameter(f"{name}.weight")
            bias = self.generator.get_parameter(f"{name}.bias")
            scale, shift = scale.repeat_interleave(pixels), shift.repeat_interleave(pixels)
            # Output channels are the first axis of a weight, but the second if it is transposed.
            axis = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
            shape = [-1 if i == axis else 1 for i in range(weight.ndim)]
            adapted[f"{name}.weight"] = weight * scale.view(shape)
            adapted[f"{name}.bias"] = bias * scale + shift
        return adapted

    def feature_distance(self, x_rec: Tensor, x: Tensor) -> Tensor:
        """Return the mean absolute difference of features, 0 without a feature network."""
        if self.features is None:
            return x.new_zeros(())
        return F.l1_loss(self.features(x_rec).features, self.features(x).features)

    def distance_from_source(self) -> Tensor:
        """Return the sum over layers of mean (scale - 1)^2 + mean shift^2."""
        scales = [(scale - 1).square().mean() for scale in self.scales]
        shifts = [shift.square().mean() for shift in self.shifts]
        return torch.stack(scales + shifts).sum()

    def prior(self, n: int, rng: torch.Generator) -> dict[str, Tensor]:
        """Draw z (n, latent_dim) from a standard normal cut at +-truncation."""
        z = torch.empty(n, self.generator.latent_dim)
        cut = self.truncation
        return {"z": nn.init.trunc_normal_(z, a=-cut, b=cut, generator=rng)}

    @torch.no_grad()
    def generate(self, batch: dict[str, Tensor]) -> Tensor:
        return self.decode(batch["z"])

    def release(self) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        """Return the generator with scales and shifts folded in, and where its latents lie."""
        generator = copy.deepcopy(self.generator)
        generator.load_state_dict(self.adapted_tensors(), strict=False)
        return {"generator": generator}, {"truncation": self.truncation}

    def released_settings(self) -> dict[str, Any]:
        return {"source": SELF, "features": None}

    def restore(
        self,
        tensors: Mapping[str, Tensor],
        extra: Mapping[str, Any],  # noqa: ARG002 - the tensors say it all
    ) -> None:
        # Scales of 1 and shifts of 0 leave the generator as it is, with those it has folded in.
        nn.ModuleDict({"generator": self.generator}).load_state_dict(tensors)


def adapted_layers(generator: nn.Module) -> dict[str, int]:
    """Return the layers that get a scale and a shift: name -> outputs that share a channel."""
    layers = dict(generator.named_modules())
    linear = [name for name, layer in layers.items() if isinstance(layer, nn.Linear)]
    norms = [name for name, layer in layers.items() if isinstance(layer, BatchNorm)]
    convolutions = [
        name for name, layer in layers.items() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    ]
    return {linear[0]: PIXELS_AT_START} | dict.fromkeys(norms or convolutions[:-1], 1)
