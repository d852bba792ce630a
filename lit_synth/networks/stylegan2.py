"""StyleGAN2 (Karras et al. 2020, arXiv:1912.04958), also as ADA trains it (arXiv:2006.06676)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.networks.parts.blocks import PixelNorm, check_labels, stages_from_4px
from lit_synth.networks.parts.equalised import (
    LRELU_GAIN,
    EqualisedConv,
    EqualisedLinear,
    activate,
)
from lit_synth.networks.parts.minibatch import MinibatchDeviation
from lit_synth.networks.parts.modulated import Noise, StyledConv, ToRGB
from lit_synth.networks.parts.rebuilding import records_init_args
from lit_synth.networks.parts.resampling import LowPass
from lit_synth.networks.parts.waves import waves
from lit_synth.tensors.processes import gathered

SIZES = (16, 32, 64, 128, 256, 512, 1024)
MAPPING_LR = 0.01
W_AVG_DECAY = 0.995
HALF_POWER = 0.5**0.5
Architecture = Literal["resnet", "skip", "orig"]

# What the presets of https://github.com/NVlabs/stylegan2-ada-pytorch (train.py) say of networks;
# config-f is the paper's, in float32. `auto` has half the channels below 512 px.
PRESETS: dict[str, dict[str, Any]] = {
    "config-f": {"channel_base": 32768, "mapping_layers": 8, "clamp": None, "mbstd_group": 4},
    "paper256": {"channel_base": 16384, "mapping_layers": 8, "clamp": 256.0, "mbstd_group": 8},
    "auto": {"channel_base": 32768, "mapping_layers": 2, "clamp": 256.0, "mbstd_group": 4},
    "cifar": {"channel_base": 32768, "mapping_layers": 2, "clamp": 256.0, "mbstd_group": 32},
}


def preset(name: str, image_size: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a published pair's arguments: of `StyleGAN2Generator` and `StyleGAN2Discriminator`.

    Args:
        name: `config-f`, `paper256`, `auto` or `cifar`.
        image_size: Height and width of the images.

    Raises:
        InputError: There is no such preset.
    """
    if name not in PRESETS:
        raise InputError(f"there is no StyleGAN2 preset '{name}': choose one of {list(PRESETS)}.")
    settings = {"image_size": image_size, **PRESETS[name]}
    if name == "auto" and image_size < 512:
        settings["channel_base"] //= 2
    group, layers = settings.pop("mbstd_group"), settings.pop("mapping_layers")
    architecture = "orig" if name == "cifar" else "resnet"
    return (
        {**settings, "mapping_layers": layers},
        {**settings, "mbstd_group": group, "architecture": architecture},
    )


class StyleGAN2Generator(nn.Module):
    """A mapping network from z to w, and a synthesis network whose layers w styles.

    Follows https://github.com/NVlabs/stylegan2-ada-pytorch with the skip architecture, which
    https://github.com/rosinality/stylegan2-pytorch has too. Images are not bounded by a tanh: they
    only approach [-1, 1]. Noise is `random` in training mode alone: in eval mode it is the
    constant, so that z alone sets the image (NVIDIA's metrics draw it anew there too).

    It may be mined at z, at w, which `synthesis` takes, and at the classes' vectors.

    Args:
        image_size: 16, 32, ... or 1024.
        image_channels: Channels of the images.
        latent_dim: Length of z.
        w_dim: Length of w, and width of the mapping network.
        channel_base: Channels at r pixels are channel_base / r, ...
        channel_max: ... but at most this.
        mapping_layers: Layers of the mapping network.
        num_classes: Classes to be conditional on, 0 for none.
        noise: Which noise the layers add: `random`, `const`, its constant maps, or `none`.
        clamp: Keep features within +-clamp, as NVIDIA's networks that were trained in float16 do
            (256); None to let them be.
        mapping_lr: Factor of the mapping network's learning rate.
        harmonics: Waves of each coordinate of z that join it, see `waves`; 0 for none.
    """

    w_avg: Tensor

    @records_init_args
    def __init__(
        self,
        image_size: int = 256,
        image_channels: int = 3,
        latent_dim: int = 512,
        w_dim: int = 512,
        channel_base: int = 32768,
        channel_max: int = 512,
        mapping_layers: int = 8,
        num_classes: int = 0,
        noise: Noise = "random",
        clamp: float | None = None,
        mapping_lr: float = MAPPING_LR,
        harmonics: int = 0,
    ) -> None:
        super().__init__()
        channels = _channels_from_4px(image_size, channel_base, channel_max)
        self.image_size, self.image_channels = image_size, image_channels
        self.latent_dim, self.num_classes, self.w_dim = latent_dim, num_classes, w_dim
        self.mapping = MappingNetwork(
            latent_dim, w_dim, mapping_layers, num_classes, mapping_lr, harmonics
        )
        self.register_buffer("w_avg", torch.zeros(w_dim))
        self.synthesis = SynthesisNetwork(channels, image_channels, w_dim, noise, clamp)
        self.to(memory_format=torch.channels_last)  # a third faster on CPUs

    def forward(
        self,
        z: Tensor,
        label: Tensor | None = None,
        truncation: float = 1.0,
        truncated_layers: int | None = None,
    ) -> Tensor:
        images: Tensor = self.synthesis(self.to_w(z, label, truncation, truncated_layers))
        return images

    def to_w(
        self,
        z: Tensor,
        label: Tensor | None = None,
        truncation: float = 1.0,
        truncated_layers: int | None = None,
    ) -> Tensor:
        """Return w of every layer (N, layers, w_dim), for `synthesis`.

        Training mode moves `w_avg`, the mean of w, on.

        Args:
            z: Latents (N, latent_dim).
            label: Classes (N,), or vectors (N, w_dim) in their place; None without classes.
            truncation: psi in w_avg + psi (w - w_avg): less than 1 trades variety for quality.
            truncated_layers: How many layers, from 4 pixels on, are truncated; None for all.
        """
        check_labels(self.num_classes, label)
        w = self.mapping(z, label)
        if self.training:
            self._track(w)
        ws = w[:, None].expand(-1, self.synthesis.layers, -1)
        if truncation == 1:
            return ws
        cut = self.synthesis.layers if truncated_layers is None else truncated_layers
        return torch.cat([self.w_avg.lerp(ws[:, :cut], truncation), ws[:, cut:]], dim=1)

    def class_vectors(self) -> Tensor:
        return self.mapping.class_vectors()

    @torch.no_grad()
    def _track(self, w: Tensor) -> None:
        self.w_avg.copy_(gathered(w).mean(dim=0).lerp(self.w_avg, W_AVG_DECAY))


class MappingNetwork(nn.Module):
    """z, and a class's vector, normalised to mean square 1, then FC layers with LeakyReLU .2.

    It computes in float32 at least, also under autocast.

    Args:
        latent_dim: Length of z, 0 to map classes alone.
        w_dim: Length of w, of the classes' vectors, and of the features between.
        layers: How many FC layers; with none the normalised input is w.
        num_classes: Classes, 0 for none.
        lr_multiplier: Factor of the layers' learning rate.
        harmonics: Waves of each coordinate of z that join it before it is normalised.
    """

    def __init__(
        self,
        latent_dim: int,
        w_dim: int,
        layers: int,
        num_classes: int,
        lr_multiplier: float = MAPPING_LR,
        harmonics: int = 0,
    ) -> None:
        super().__init__()
        self.normalise, self.harmonics = PixelNorm(), harmonics
        if num_classes:
            self.class_embedding = EqualisedLinear(num_classes, w_dim)
        first = latent_dim * (1 + 2 * harmonics) + (w_dim if num_classes else 0)
        widths = [first, *[w_dim] * layers]
        self.body = nn.Sequential(
            *(EqualisedLinear(*pair, lr_multiplier=lr_multiplier) for pair in pairwise(widths))
        )

    def forward(self, z: Tensor | None, label: Tensor | None) -> Tensor:
        """Return w (N, w_dim) for z (N, latent_dim) and labels (N,), or vectors; one may be None.

        Args:
            z: Latents (N, latent_dim).
            label: Classes (N,), or vectors (N, w_dim) in their place.
        """
        if label is not None and not label.is_floating_point():
            label = F.embedding(label, self.class_vectors())
        z = None if z is None else waves(z, self.harmonics)
        parts = [part for part in (z, label) if part is not None]
        with torch.autocast(parts[0].device.type, enabled=False):
            wide = [part.to(torch.promote_types(part.dtype, torch.float32)) for part in parts]
            h = torch.cat([self.normalise(part) for part in wide], dim=1)
            for layer in self.body:
                h = activate(layer(h, gain=LRELU_GAIN))
            return h

    def class_vectors(self) -> Tensor:
        """Return the vectors (num_classes, w_dim) of the classes, before they are normalised."""
        embedding = self.class_embedding
        return embedding.weight.T * embedding.weight_gain + embedding.bias


class SynthesisNetwork(nn.Module):
    """From a constant at 4x4, a block per doubling; each adds to an image that grows with it.

    Layer by layer w enters: at 4 px a convolution takes w_0 and the image w_1, at every larger size
    two convolutions take the next two and the image the one after, which it shares with the next
    block's first convolution. Images and the low-pass filter stay in float32 at least.

    Args:
        channels: Channels at 4, 8, ... pixels.
        image_channels: Channels of the images.
        w_dim: Length of w.
        noise: Which noise the layers add.
        clamp: Keep features within +-clamp; None to let them be.
    """

    def __init__(
        self,
        channels: Sequence[int],
        image_channels: int,
        w_dim: int,
        noise: Noise,
        clamp: float | None,
    ) -> None:
        super().__init__()
        self.noise, self.layers = noise, 2 * len(channels)
        self.const = nn.Parameter(torch.randn(channels[0], 4, 4))
        self.blocks = nn.ModuleDict()
        for i, (c_in, c_out) in enumerate(pairwise([0, *channels])):
            self.blocks[str(4 * 2**i)] = SynthesisBlock(
                c_in, c_out, image_channels, w_dim, 4 * 2**i, clamp
            )

    def forward(self, w: Tensor, start: Tensor | None = None) -> Tensor:
        """Return images (N, image_channels, H, W).

        Args:
            w: One for all layers (N, w_dim), or one for each (N, layers, w_dim).
            start: Features (N, C, 4, 4) in place of the constant.
        """
        last = 4 * 2 ** (len(self.blocks) - 1)
        return self.features(w, last, start)[1]

    def features(self, w: Tensor, size: int, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Go as far as the block of a size; return its features (N, C, size, size) and its image.

        Args:
            w: One for all layers (N, w_dim), or one for each (N, layers, w_dim).
            size: 4, 8, ... up to the images' size.
            start: Features (N, C, 4, 4) in place of the constant.
        """
        if str(size) not in self.blocks:
            raise InputError(
                f"features are asked for at {size} pixels: this synthesis network has blocks at "
                f"{', '.join(self.blocks)}."
            )
        x = self.const[None] if start is None else start
        return self._pass(x, None, w, 4, size)[-1]

    def pyramid(self, w: Tensor) -> list[Tensor]:
        """Return the features (N, C, r, r) of every block, r = 4, 8, ...

        Args:
            w: One for all layers (N, w_dim), or one for each (N, layers, w_dim).
        """
        last = 4 * 2 ** (len(self.blocks) - 1)
        return [x for x, _ in self._pass(self.const[None], None, w, 4, last)]

    def images(self, features: Tensor, image: Tensor, w: Tensor) -> Tensor:
        """Go on from what `features` returned, changed or not; return images (N, C, H, W).

        Args:
            features: (N, C, size, size).
            image: The image at that size (N, image_channels, size, size).
            w: One for all layers (N, w_dim), or one for each (N, layers, w_dim).
        """
        last = 4 * 2 ** (len(self.blocks) - 1)
        if features.size(2) == last:
            return image
        return self._pass(features, image, w, 2 * features.size(2), last)[-1][1]

    def _pass(
        self, x: Tensor, image: Tensor | None, w: Tensor, first: int, last: int
    ) -> list[tuple[Tensor, Tensor]]:
        """Return features and image of each block from one size to another."""
        noise = self.noise
        if noise == "random" and not self.training:
            noise = "const"
        ws = w[:, None].expand(-1, self.layers, -1) if w.dim() == 2 else w
        passed: list[tuple[Tensor, Tensor]] = []
        for i, (size, block) in enumerate(self.blocks.items()):
            if first <= int(size) <= last:
                x, image = block(x, image, ws[:, max(2 * i - 1, 0) : 2 * i + 2], noise)
                passed.append((x, image))
        return passed


class SynthesisBlock(nn.Module):
    """Twice the size but at 4 px: two styled convolutions (at 4 px one), and their image added.

    Args:
        in_channels: Channels of its input, 0 at 4 px.
        out_channels: Channels of its output.
        image_channels: Channels of the image.
        w_dim: Length of w.
        size: Height and width of its output.
        clamp: Keep features within +-clamp; None to let them be.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        image_channels: int,
        w_dim: int,
        size: int,
        clamp: float | None,
    ) -> None:
        super().__init__()
        if in_channels:
            self.conv0 = StyledConv(in_channels, out_channels, w_dim, size, True, clamp)
            self.low_pass = LowPass()
        self.conv1 = StyledConv(out_channels, out_channels, w_dim, size, clamp=clamp)
        self.to_rgb = ToRGB(out_channels, image_channels, w_dim, clamp)
        self.doubles = in_channels > 0

    def forward(
        self, x: Tensor, image: Tensor | None, ws: Tensor, noise: Noise
    ) -> tuple[Tensor, Tensor]:
        """Return features and image; `ws` (N, 3, w_dim), at 4 px (N, 2, w_dim)."""
        *w_convs, w_rgb = ws.unbind(dim=1)
        if self.doubles:
            x = self.conv0(x, w_convs[0], noise)
        x = self.conv1(x, w_convs[-1], noise)
        shown = self.to_rgb(x, w_rgb)
        shown = shown.to(torch.promote_types(shown.dtype, torch.float32))
        return x, shown if image is None else self.low_pass.enlarge(image) + shown


class StyleGAN2Discriminator(nn.Module):
    """conv1x1 from the image, a block per halving down to 4x4, then conv3x3, FC and FC.

    Before 4x4's convolution the deviation within a group of images joins the features
    (`MinibatchDeviation`), so that real and made images must not share a batch (`score_apart`).
    With classes the score is the inner product of the features with the mapped vector of the
    class, over the root of their length.

    Args:
        image_size: 16, 32, ... or 1024.
        image_channels: Channels of the images.
        channel_base: Channels at r pixels are channel_base / r, ...
        channel_max: ... but at most this.
        architecture: `resnet` adds a low-passed shortcut to each block; `skip` shows each block the
            image at its size; `orig` does neither.
        num_classes: Classes, 0 for none; with classes it is called with labels (N,).
        class_dim: Length of the mapped vector of a class; None for the channels at 4 px.
        mapping_layers: Layers of the mapping network of classes.
        mbstd_group: Images in a group.
        mbstd_channels: Channels of deviations that join the features, 0 for none.
        clamp: Keep features within +-clamp; None to let them be.
    """

    @records_init_args
    def __init__(
        self,
        image_size: int = 256,
        image_channels: int = 3,
        channel_base: int = 32768,
        channel_max: int = 512,
        architecture: Architecture = "resnet",
        num_classes: int = 0,
        class_dim: int | None = None,
        mapping_layers: int = 8,
        mbstd_group: int = 4,
        mbstd_channels: int = 1,
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        channels = _channels_from_4px(image_size, channel_base, channel_max)[::-1]
        self.image_size, self.image_channels = image_size, image_channels
        self.num_classes, self.architecture, self.clamp = num_classes, architecture, clamp
        self.body = nn.ModuleDict()
        for i, (c_in, c_out) in enumerate(pairwise(channels)):
            shown = image_channels if i == 0 or architecture == "skip" else 0
            block = DiscriminatorBlock(shown, c_in, c_out, architecture, clamp)
            self.body[str(image_size // 2**i)] = block
        last = channels[-1]
        if architecture == "skip":
            self.from_rgb = EqualisedConv(image_channels, last, 1)
        self.low_pass = LowPass()
        self.deviation: nn.Module = nn.Identity()
        if mbstd_channels:
            _check_divides(mbstd_channels, last)
            self.deviation = MinibatchDeviation(mbstd_group, mbstd_channels, unbiased=False)
        self.conv = EqualisedConv(last + mbstd_channels, last, 3)
        self.to(memory_format=torch.channels_last)  # half as fast again on CPUs
        self.fc = EqualisedLinear(last * 4 * 4, last)
        if not num_classes:
            self.score = EqualisedLinear(last, 1)
            return
        class_dim = last if class_dim is None else class_dim
        self.score = EqualisedLinear(last, class_dim)
        self.class_mapping = MappingNetwork(0, class_dim, mapping_layers, num_classes)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        check_labels(self.num_classes, label)
        h: Tensor | None = None
        image = x
        for block in self.body.values():
            h = block(h, image)
            if self.architecture == "skip":
                image = self.low_pass.reduce(image)
        assert h is not None
        if self.architecture == "skip":
            h = h + activate(self.from_rgb(image, LRELU_GAIN), self.clamp)
        h = activate(self.conv(self.deviation(h), LRELU_GAIN), self.clamp)
        score = self.score(activate(self.fc(h.flatten(1), LRELU_GAIN)))
        if label is None:
            return score.squeeze(1)
        vector = self.class_mapping(None, label)
        return (score * vector).sum(dim=1) / vector.size(1) ** 0.5


class DiscriminatorBlock(nn.Module):
    """Half the size: conv3x3 and a low-passed conv3x3, with LeakyReLU .2 times sqrt(2) after each.

    Args:
        image_channels: Channels of the image that it adds by a conv1x1, 0 for none.
        in_channels: Channels of its input, kept by the first convolution.
        out_channels: Channels of its output.
        architecture: `resnet` adds a low-passed conv1x1 of its input, and halves the power.
        clamp: Keep features within +-clamp; None to let them be.
    """

    def __init__(
        self,
        image_channels: int,
        in_channels: int,
        out_channels: int,
        architecture: Architecture,
        clamp: float | None,
    ) -> None:
        super().__init__()
        self.from_rgb = EqualisedConv(image_channels, in_channels, 1) if image_channels else None
        self.conv0 = EqualisedConv(in_channels, in_channels, 3)
        self.conv1 = EqualisedConv(in_channels, out_channels, 3, halve=True)
        self.shortcut: EqualisedConv | None = None
        if architecture == "resnet":
            self.shortcut = EqualisedConv(in_channels, out_channels, 1, bias=False, halve=True)
        self.clamp = clamp

    def forward(self, x: Tensor | None, image: Tensor) -> Tensor:
        """Return features (N, C, H / 2, W / 2) of features (N, C, H, W), or None, and the image."""
        if self.from_rgb is not None:
            seen = activate(self.from_rgb(image, LRELU_GAIN), self.clamp)
            x = seen if x is None else x + seen
        assert x is not None
        h = activate(self.conv0(x, LRELU_GAIN), self.clamp)
        if self.shortcut is None:
            return activate(self.conv1(h, LRELU_GAIN), self.clamp)
        # Both summands by sqrt(1/2); of the convolution's that takes away its activation's gain.
        clamp = None if self.clamp is None else self.clamp * HALF_POWER
        return activate(self.conv1(h), clamp) + self.shortcut(x, HALF_POWER)


def _channels_from_4px(image_size: int, base: int, most: int) -> list[int]:
    stages = stages_from_4px(image_size, SIZES)
    return [max(1, min(base // (4 * 2**i), most)) for i in range(stages + 1)]


def _check_divides(mbstd_channels: int, channels: int) -> None:
    if channels % mbstd_channels:
        raise InputError(
            f"mbstd_channels is {mbstd_channels}: expected a divisor of the {channels} channels "
            "at 4 pixels."
        )
