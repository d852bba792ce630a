"""A generator and a critic of 16 to 32 pixels that train in minutes on one CPU core."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from lit_synth.networks.parts.blocks import UpConv3x3, check_labels, class_vector, stages_from_4px
from lit_synth.networks.parts.rebuilding import records_init_args
from lit_synth.networks.parts.waves import waves

SLOPE = 0.2


class SmallGenerator(nn.Module):
    """FC to 4x4, then (nearest x2, conv3x3) per doubling, then conv3x3 and tanh; no norms.

    Channels at 4, 8, 16 px are 4w, 2w, w; a 32-px image has 4w at 4 and at 8 px.
    With classes, a learned vector per class is added to the first features: the same map as a
    one-hot label appended to z.

    Args:
        image_size: 16 or 32.
        image_channels: Channels of the images.
        latent_dim: Length of z.
        width: Channels w before the last convolution.
        num_classes: Classes to be conditional on, 0 for none.
        mapping: Widths of FC layers with LeakyReLU that z goes through first, if any.
        harmonics: Waves of each coordinate that join z, see `waves`; 0 for none.
    """

    @records_init_args
    def __init__(
        self,
        image_size: int = 16,
        image_channels: int = 1,
        latent_dim: int = 32,
        width: int = 32,
        num_classes: int = 0,
        mapping: Sequence[int] = (),
        harmonics: int = 0,
    ) -> None:
        super().__init__()
        channels = _channels_from_4px(image_size, width)
        self.image_size, self.image_channels = image_size, image_channels
        self.latent_dim, self.num_classes = latent_dim, num_classes
        self.harmonics = harmonics
        widths = [latent_dim * (1 + 2 * harmonics), *mapping]
        # Before the mapping: for `BSA` the first linear layer is the one that makes a map.
        self.fc = nn.Linear(widths[-1], channels[0] * 4 * 4)
        if num_classes:
            self.class_features = nn.Embedding(num_classes, channels[0] * 4 * 4)
        self.mapping = nn.Sequential()
        for n_in, n_out in pairwise(widths):
            self.mapping.extend([nn.Linear(n_in, n_out), nn.LeakyReLU(SLOPE)])
        self.body = nn.Sequential(nn.LeakyReLU(SLOPE))
        for c_in, c_out in pairwise(channels):
            self.body.extend([UpConv3x3(c_in, c_out), nn.LeakyReLU(SLOPE)])
        self.to_image = nn.Conv2d(width, image_channels, kernel_size=3, padding=1)
        init_he(self)

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        check_labels(self.num_classes, label)
        features = self.fc(self.mapping(waves(z, self.harmonics)))
        if label is not None:
            features = features + class_vector(self.class_features, label)
        return self.to_image(self.body(features.unflatten(1, (-1, 4, 4)))).tanh()

    def class_vectors(self) -> Tensor:
        return self.class_features.weight


class SmallCritic(nn.Module):
    """conv3x3, then conv4x4 with stride 2 down to 4x4, then FC; no norms.

    Mirrors `SmallGenerator`: channels at 16, 8, 4 px are w, 2w, 4w, and 4w at 8 px of 32.

    Args:
        image_size: 16 or 32.
        image_channels: Channels of the images.
        width: Channels w after the first convolution.
        num_classes: Classes named by a second FC (AC-GAN), 0 for none. With classes the result
            is (scores (N,), logits (N, num_classes)), otherwise scores (N,).
    """

    @records_init_args
    def __init__(
        self,
        image_size: int = 16,
        image_channels: int = 1,
        width: int = 32,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        self.image_size, self.image_channels = image_size, image_channels
        self.num_classes = num_classes
        self.body = small_critic_body(image_size, image_channels, width)
        self.score = nn.Linear(4 * width * 4 * 4, 1)
        if num_classes:
            self.class_logits = nn.Linear(4 * width * 4 * 4, num_classes)
        init_he(self)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        features = self.body(x)
        score = self.score(features).squeeze(1)
        return (score, self.class_logits(features)) if self.num_classes else score


def small_critic_body(image_size: int, image_channels: int, width: int) -> nn.Sequential:
    """Build all of `SmallCritic` but its heads.

    Args:
        image_size: 16 or 32.
        image_channels: Channels of the images.
        width: Channels after the first convolution.

    Returns:
        A map from images to features (N, 4 * width * 4 * 4).
    """
    channels = _channels_from_4px(image_size, width)[::-1]
    body = nn.Sequential(nn.Conv2d(image_channels, width, kernel_size=3, padding=1))
    body.append(nn.LeakyReLU(SLOPE))
    for c_in, c_out in pairwise(channels):
        body.append(nn.Conv2d(c_in, c_out, kernel_size=4, stride=2, padding=1))
        body.append(nn.LeakyReLU(SLOPE))
    return body.append(nn.Flatten())


def _channels_from_4px(image_size: int, width: int) -> list[int]:
    stages = stages_from_4px(image_size, allowed=(16, 32))
    return [width * min(4, 2**i) for i in range(stages, -1, -1)]


def init_he(network: nn.Module) -> None:
    """Draw weights from He's normal for LeakyReLU .2 (arXiv:1502.01852); biases are 0.

    Args:
        network: Network whose convolutions and linear layers are initialised in place.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, a=SLOPE)
            nn.init.constant_(layer.get_parameter("bias"), 0)
