"""The residual generator and critic of WGAN-GP (Gulrajani et al. 2017, arXiv:1704.00028)."""

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.networks.parts.blocks import (
    UpBlock,
    batch_norm,
    check_labels,
    down_block,
    init_uniform,
    layer_norm,
    stages_from_4px,
)
from lit_synth.networks.parts.norms import NoNorm
from lit_synth.networks.parts.rebuilding import records_init_args

SIZES = (16, 32, 64, 128)


class ResNetGenerator(nn.Module):
    """FC to 4x4, residual blocks that double the size, then norm, ReLU, conv3x3, tanh.

    As TransferGAN uses it (thesis, chapter 2). Channels from 4 px on, in units of `width`, are
    8 8 4 2 1 at 64 px; at other sizes, ours, the plan that ends alike: 2 2 1 at 16, 4 4 2 1 at 32
    and 16 16 8 4 2 1 at 128 px.

    Args:
        image_size: 16, 32, 64 or 128.
        image_channels: Channels of the images.
        latent_dim: Length of z.
        width: Channels d before the last convolution; 32 is the paper's half capacity.
        num_classes: Classes to be conditional on, 0 for none.
        conditioning: `concat` appends the one-hot label to z (as vectors per class, added to the
            first features: the same map); `bnorm` gives each batch norm an affine map per class.
        norm: `none` leaves all batch norms out.
        running_stats: Keep running statistics and use them in eval mode? Otherwise batch norm
            always uses the statistics of its batch, also when sampling, as the released code does.
    """

    @records_init_args
    def __init__(
        self,
        image_size: int = 64,
        image_channels: int = 3,
        latent_dim: int = 128,
        width: int = 64,
        num_classes: int = 0,
        conditioning: Literal["none", "concat", "bnorm"] = "none",
        norm: Literal["batch", "none"] = "batch",
        running_stats: bool = False,
    ) -> None:
        super().__init__()
        _check_conditioning(num_classes, conditioning, norm)
        channels = channels_from_4px(image_size, width)
        self.image_size, self.image_channels = image_size, image_channels
        self.latent_dim, self.num_classes = latent_dim, num_classes
        norm_classes = num_classes if conditioning == "bnorm" else 0
        norms = batch_norm(norm_classes, running_stats) if norm == "batch" else NoNorm
        self.fc = nn.Linear(latent_dim, channels[0] * 4 * 4)
        self.class_features: nn.Embedding | None = None
        if conditioning == "concat":
            self.class_features = nn.Embedding(num_classes, channels[0] * 4 * 4)
        self.body = nn.ModuleList(UpBlock(c_in, c_out, norms) for c_in, c_out in pairwise(channels))
        self.norm = norms(width)
        self.to_image = nn.Conv2d(width, image_channels, kernel_size=3, padding=1)
        self._init_weights()

    def _init_weights(self) -> None:
        _init_convolutions(self)
        if self.class_features is not None:
            # z and the one-hot label are one input of latent_dim + num_classes features.
            joint = nn.Linear(self.latent_dim + self.num_classes, self.fc.out_features)
            init_uniform(joint, he=False)
            self.fc.weight.data.copy_(joint.weight[:, : self.latent_dim])
            self.class_features.weight.data.copy_(joint.weight[:, self.latent_dim :].T)

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        check_labels(self.num_classes, label)
        h = self.fc(z)
        if self.class_features is not None:
            h = h + self.class_features(label)
        h = h.unflatten(1, (-1, 4, 4))
        for block in self.body:
            h = block(h, label)
        return self.to_image(self.norm(h, label).relu()).tanh()


class ResNetCritic(nn.Module):
    """conv3x3, residual blocks that halve the size down to 4x4, then FC.

    Mirrors `ResNetGenerator`: channels down to 4 px, in units of `width`, are 1 2 4 8 8 at 64 px,
    1 2 2 at 16, 1 2 4 4 at 32 and 1 2 4 8 16 16 at 128 px.

    Args:
        image_size: 16, 32, 64 or 128.
        image_channels: Channels of the images.
        width: Channels d after the first convolution.
        num_classes: Classes named by a second FC (AC-GAN), 0 for none. With classes the result is
            (scores (N,), logits (N, num_classes)), otherwise scores (N,).
        norm: `layer` takes statistics over C, H, W of each image; `none` leaves norms out.
    """

    @records_init_args
    def __init__(
        self,
        image_size: int = 64,
        image_channels: int = 3,
        width: int = 64,
        num_classes: int = 0,
        norm: Literal["layer", "none"] = "layer",
    ) -> None:
        super().__init__()
        channels = channels_from_4px(image_size, width)[::-1]
        self.image_size, self.image_channels = image_size, image_channels
        self.num_classes = num_classes
        norms = layer_norm if norm == "layer" else None
        to_features = nn.Conv2d(image_channels, width, kernel_size=3, padding=1)
        self.body = nn.Sequential(to_features)
        self.body.extend(down_block(c_in, c_out, norms) for c_in, c_out in pairwise(channels))
        self.body.append(nn.Flatten())
        self.score = nn.Linear(channels[-1] * 4 * 4, 1)
        if num_classes:
            self.class_logits = nn.Linear(channels[-1] * 4 * 4, num_classes)
        _init_convolutions(self)
        init_uniform(to_features, he=False)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        features = self.body(x)
        score = self.score(features).squeeze(1)
        return (score, self.class_logits(features)) if self.num_classes else score


def channels_from_4px(image_size: int, width: int) -> list[int]:
    """Plan the channels at 4, 8, ... pixels up to the image.

    Args:
        image_size: 16, 32, 64 or 128.
        width: Channels at full size.

    Returns:
        Channels; each size has twice those of the next, but 4 px as many as 8 px.
    """
    stages = stages_from_4px(image_size, SIZES)
    doubled = [width * 2**i for i in reversed(range(stages))]
    return [doubled[0], *doubled]


def _init_convolutions(network: nn.Module) -> None:
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Linear):
            init_uniform(layer, he=False)
        elif isinstance(layer, nn.Conv2d):
            init_uniform(layer, he="shortcut" not in name)


def _check_conditioning(num_classes: int, conditioning: str, norm: str) -> None:
    if bool(num_classes) != (conditioning != "none"):
        raise InputError(
            f"ResNetGenerator got num_classes={num_classes} with conditioning={conditioning!r}; "
            f"give both classes and one of 'concat', 'bnorm', or neither."
        )
    if conditioning == "bnorm" and norm == "none":
        raise InputError(
            "ResNetGenerator got conditioning='bnorm' with norm='none'; class-wise batch norm "
            "needs norm='batch', or choose conditioning='concat'."
        )
