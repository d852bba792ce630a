"""The 28-pixel digit generator and critic of WGAN-GP's MNIST experiment (arXiv:1704.00028)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.networks.parts.blocks import check_labels, class_vector, init_uniform
from lit_synth.networks.parts.rebuilding import records_init_args


class MnistGenerator(nn.Module):
    """FC to 4x4, three 5x5 transposed convolutions with stride 2, ReLU between, sigmoid.

    Follows igul222/improved_wgan_training (gan_mnist.py), as MineGAN's released code does. The
    paper's pixels lie in [0, 1]; ours are 2 sigmoid(.) - 1, in [-1, 1].

    Args:
        latent_dim: Length of z (thesis: 128 in tables, 16 in pictures).
        width: Channels d before the last layer.
        num_classes: Classes whose one-hot label is appended to z (as vectors per class, added to
            the first features: the same map), 0 for none.
    """

    @records_init_args
    def __init__(self, latent_dim: int = 128, width: int = 64, num_classes: int = 0) -> None:
        super().__init__()
        self.image_size, self.image_channels = 28, 1
        self.latent_dim, self.num_classes = latent_dim, num_classes
        joint = nn.Linear(latent_dim + num_classes, 4 * width * 4 * 4)
        init_uniform(joint, he=False)
        self.fc = nn.Linear(latent_dim, 4 * width * 4 * 4)
        self.fc.load_state_dict({"weight": joint.weight[:, :latent_dim], "bias": joint.bias})
        if num_classes:
            self.class_features = nn.Embedding(num_classes, 4 * width * 4 * 4)
            self.class_features.weight.data.copy_(joint.weight[:, latent_dim:].T)
        self.deconv1 = SameConvTranspose5x5(4 * width, 2 * width)
        self.deconv2 = SameConvTranspose5x5(2 * width, width)
        self.deconv3 = SameConvTranspose5x5(width, 1)

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        check_labels(self.num_classes, label)
        h = self.fc(z)
        if label is not None:
            h = h + class_vector(self.class_features, label)
        h = h.relu().unflatten(1, (-1, 4, 4))
        h = self.deconv1(h).relu()[:, :, :7, :7]
        h = self.deconv2(h).relu()
        return 2 * self.deconv3(h).sigmoid() - 1

    def class_vectors(self) -> Tensor:
        return self.class_features.weight


class MnistCritic(nn.Module):
    """Three 5x5 convolutions with stride 2 and LeakyReLU .2, then FC; its score is doubled.

    Follows igul222/improved_wgan_training (gan_mnist.py). It sees pixels (x + 1) / 2 as the paper's
    does. Doubled, its slope in x is the paper's slope in pixels, so that a penalty in x asks for
    the same critic; with twice the paper's lambda_gp, 20, the whole loss is twice the paper's,
    which Adam does not see.

    Args:
        width: Channels d after the first convolution.
        num_classes: Classes whose one-hot label joins the image as constant planes, 0 for none;
            with classes it is called with labels (N,).
    """

    @records_init_args
    def __init__(self, width: int = 64, num_classes: int = 0) -> None:
        super().__init__()
        self.image_size, self.image_channels = 28, 1
        self.num_classes = num_classes
        self.body = nn.Sequential(
            SameConv5x5(1 + num_classes, width),
            nn.LeakyReLU(0.2),
            SameConv5x5(width, 2 * width),
            nn.LeakyReLU(0.2),
            SameConv5x5(2 * width, 4 * width),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
        )
        self.score = nn.Linear(4 * width * 4 * 4, 1)
        init_uniform(self.score, he=False)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        check_labels(self.num_classes, label)
        pixels = (x + 1) / 2
        if label is not None:
            planes = F.one_hot(label, self.num_classes).to(x.dtype)[:, :, None, None]
            pixels = torch.cat([pixels, planes.expand(-1, -1, 28, 28)], dim=1)
        return 2 * self.score(self.body(pixels)).squeeze(1)


class SameConv5x5(nn.Conv2d):
    """5x5 convolution with stride 2 and TensorFlow's SAME padding: n to ceil(n / 2) pixels.

    An even size is padded by 1 before and 2 after, an odd size by 2 and 2.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size=5, stride=2)
        init_uniform(self, he=True)

    def forward(self, x: Tensor) -> Tensor:
        top, left = 1 + x.size(2) % 2, 1 + x.size(3) % 2
        return super().forward(F.pad(x, (left, 2, top, 2)))


class SameConvTranspose5x5(nn.ConvTranspose2d):
    """Transpose of `SameConv5x5` on an even size: n to 2n pixels, 1 cropped before and 2 after."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size=5, stride=2, padding=1)
        init_uniform(self, he=True)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        return super().forward(x, output_size)[:, :, :-1, :-1]
