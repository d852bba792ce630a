"""What methods ask of an augmentation that is given to them."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

Rand = Callable[..., Tensor]


class Augment(nn.Module):
    """Changes whatever a critic sees, real and made, with gradients to the images."""

    def forward(self, x: Tensor, rand: Rand) -> Tensor:
        """Change every image in its own way.

        Args:
            x: Images (N, C, H, W) in [-1, 1].
            rand: Draws `rand(n, *shape)` from U(0, 1) on the images' device.

        Returns:
            Images of the same shape; colours may leave [-1, 1].
        """
        raise NotImplementedError

    def steer(
        self,
        r_t: Tensor,  # noqa: ARG002 - for those that adapt
        images: int,  # noqa: ARG002
    ) -> dict[str, Tensor]:
        """Take note of how well the critic knows its images, and return what is to be logged.

        Args:
            r_t: Mean sign of the critic on real training images, of all processes.
            images: How many it has just seen, in all processes.
        """
        return {}


def alike(augment: Augment, images: Sequence[Tensor], rand: Rand) -> list[Tensor]:
    """Augment the k-th image of each of several batches in one way.

    Args:
        augment: Changes images.
        images: Batches (K, C, H, W).
        rand: Draws from U(0, 1).
    """
    drawn: list[Tensor] = []

    def noted(n: int, *shape: int) -> Tensor:
        drawn.append(rand(n, *shape))
        return drawn[-1]

    changed = [augment(images[0], noted)]
    for batch in images[1:]:
        again = iter(drawn)
        changed.append(augment(batch, lambda *_, again=again: next(again)))
    return changed
