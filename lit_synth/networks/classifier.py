"""A small classifier of small images: the judge of classes and the source of features."""

from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.networks.parts.rebuilding import records_init_args


class SmallClassifier(nn.Module):
    """(conv, BN, ReLU, 2x2 max-pool) until at most 4x4 pixels are left, FC, BN, ReLU, FC.

    Channels double per stage, from `width` up to 4 x `width`.

    Args:
        image_size: Height and width of the images, at least 8.
        image_channels: Channels of the images.
        num_classes: Classes to tell apart.
        width: Channels of the first stage.
        feature_dim: Length of the features before the last FC.
        kernel_size: Side of the convolutions, odd.
        slope: Of the ReLUs below 0.
    """

    @records_init_args
    def __init__(
        self,
        image_size: int = 16,
        image_channels: int = 1,
        num_classes: int = 10,
        width: int = 32,
        feature_dim: int = 64,
        kernel_size: int = 3,
        slope: float = 0.0,
    ) -> None:
        super().__init__()
        if image_size < 8:
            raise InputError(
                f"image_size is {image_size}; SmallClassifier needs at least 8 pixels: resize the "
                f"images."
            )
        self.image_size, self.image_channels = image_size, image_channels
        self.num_classes, self.feature_dim = num_classes, feature_dim
        self.body = nn.Sequential()
        c_in, c_out, size = image_channels, width, image_size
        while size > 4:
            self.body.append(
                nn.Conv2d(c_in, c_out, kernel_size, padding=kernel_size // 2, bias=False)
            )
            self.body.extend([nn.BatchNorm2d(c_out), nn.LeakyReLU(slope), nn.MaxPool2d(2)])
            c_in, c_out, size = c_out, min(2 * c_out, 4 * width), size // 2
        self.body.append(nn.Flatten())
        self.fc = nn.Linear(c_in * size * size, feature_dim, bias=False)
        self.norm, self.relu = nn.BatchNorm1d(feature_dim), nn.LeakyReLU(slope)
        self.classify = nn.Linear(feature_dim, num_classes)

    def features(self, x: Tensor) -> Tensor:
        """Describe images by what the last layer sees of them.

        Args:
            x: Images (N, C, H, W) in [-1, 1].

        Returns:
            Features (N, feature_dim), not negative unless `slope` is not 0.
        """
        return self.relu(self.norm(self.fc(self.body(x))))

    def stages(self, x: Tensor) -> list[Tensor]:
        """Return what each stage sees of images before it pools, (N, c, h, w) each.

        Args:
            x: Images (N, C, H, W) in [-1, 1], of any size.
        """
        seen = []
        for layer in self.body:
            if isinstance(layer, nn.Flatten):
                break
            x = layer(x)
            if isinstance(layer, nn.LeakyReLU):
                seen.append(x)
        return seen

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.features(x))
