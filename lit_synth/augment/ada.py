"""ADA: augment as much as the critic overfits (Karras et al. 2020, arXiv:2006.06676)."""

import torch
from torch import Tensor

from lit_synth.augment.base import Augment, Rand
from lit_synth.augment.matrices import (
    COLUMNS_OF_COLOURS,
    COLUMNS_OF_PLACES,
    Rolls,
    colours,
    places,
)
from lit_synth.augment.resampling import warped
from lit_synth.errors import InputError

GROUPS = ("blit", "geometry", "colour", "noise", "cutout")


class ADA(Augment):
    """Each transform happens to an image with probability p, which follows the critic.

    Every few steps p rises while r_t, the mean sign of the critic on real training images, is above
    its target, and falls while it is below. With p below .8 what is undone in the mean stays undone
    in the samples: no augmentation leaks (section 2); p therefore stops there, where published code
    goes on. Geometry is one affine map and one resampling, colours are one matrix. To an image to
    which none happens nothing is done, not even the resampling. Left out: the filtering of bands,
    which is off in the published runs on few images.

    Args:
        transforms: Groups joined by commas: `blit` (x-flip, 90-degree turns, whole pixels),
            `geometry` (scalings, turns, parts of pixels), `colour`, `noise`, `cutout`.
        target: Of r_t; None: p stays as it is.
        kimg: Thousands of images over which p would rise from 0 to 1 (paper: 500; 100 suits a
            critic from a source).
        interval: Steps from one change of p to the next.
        p: What p starts with.
        p_max: What p does not pass.
    """

    p: Tensor
    signs: Tensor
    steps: Tensor

    def __init__(
        self,
        transforms: str = "blit,geometry,colour",
        target: float | None = 0.6,
        kimg: float = 500.0,
        interval: int = 4,
        p: float = 0.0,
        p_max: float = 0.8,
    ) -> None:
        super().__init__()
        self.transforms = [name.strip() for name in transforms.split(",") if name.strip()]
        for name in self.transforms:
            if name not in GROUPS:
                raise InputError(
                    f"ADA got the transforms '{transforms}', whose '{name}' is unknown; join any "
                    f"of {', '.join(GROUPS)} by commas."
                )
        if not 0 <= p <= p_max <= 1:
            raise InputError(f"ADA got p {p} and p_max {p_max}: expected 0 <= p <= p_max <= 1.")
        if kimg <= 0 or interval < 1:
            raise InputError(
                f"ADA got kimg {kimg} and interval {interval}: expected more than 0 and at least 1."
            )
        self.target, self.kimg, self.interval, self.p_max = target, kimg, interval, p_max
        self.register_buffer("p", torch.tensor(p))
        self.register_buffer("signs", torch.zeros(()))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def forward(self, x: Tensor, rand: Rand) -> Tensor:
        if self.p == 0:
            return x
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        with torch.autocast(x.device.type, enabled=False):
            wide = self._moved(wide, rand)
            if "colour" in self.transforms:
                wide = self._coloured(wide, rand)
            if "noise" in self.transforms:
                wide = self._noisy(wide, rand)
            if "cutout" in self.transforms:
                wide = self._cut(wide, rand)
        return wide

    def _moved(self, x: Tensor, rand: Rand) -> Tensor:
        blit, geometry = "blit" in self.transforms, "geometry" in self.transforms
        if not (blit or geometry):
            return x
        rolls = Rolls(rand(len(x), COLUMNS_OF_PLACES).to(x.dtype), self.p.to(x.dtype))
        inverse = places(rolls, x.size(2), x.size(3), blit, geometry)
        still = inverse == torch.eye(3, dtype=x.dtype, device=x.device)
        return torch.where(still.flatten(1).all(1)[:, None, None, None], x, warped(x, inverse))

    def _coloured(self, x: Tensor, rand: Rand) -> Tensor:
        if x.size(1) not in (1, 3):
            raise InputError(
                f"ADA changes colours of images of 1 or 3 channels, and got {x.size(1)}: leave "
                "colour out of its transforms."
            )
        rolls = Rolls(rand(len(x), COLUMNS_OF_COLOURS).to(x.dtype), self.p.to(x.dtype))
        linear, offset = colours(rolls)
        if x.size(1) == 1:  # as if it had three channels, whose mean is kept
            linear, offset = (each.sum(2, True).mean(1, True) for each in (linear, offset))
        changed = (linear @ x.flatten(2) + offset).reshape(x.shape)
        return torch.where(rolls.happened[:, None, None, None], changed, x)

    def _noisy(self, x: Tensor, rand: Rand) -> Tensor:
        """Add noise of a deviation of .1 |N|."""
        rolls = Rolls(rand(len(x), 2).to(x.dtype), self.p.to(x.dtype))
        sigma = rolls.happens(0.1 * rolls.normal().abs(), 0.0)[:, None, None, None]
        noise = torch.special.ndtri(rand(*x.shape).to(x.dtype).clamp(1e-6, 1 - 1e-6))
        return x + sigma * noise

    def _cut(self, x: Tensor, rand: Rand) -> Tensor:
        """Set a rectangle of half the sides to 0, its centre anywhere in the image."""
        rolls = Rolls(rand(len(x), 3).to(x.dtype), self.p.to(x.dtype))
        sides = []
        for size in x.shape[2:]:
            centre = rolls.uniform()[:, None] * size
            at = torch.arange(size, device=x.device) + 0.5
            sides.append((at - centre).abs() < size / 4)
        cut = rolls.happens(torch.ones_like(centre[:, 0]), 0.0) > 0
        hole = sides[0][:, :, None] & sides[1][:, None, :] & cut[:, None, None]
        return x * ~hole[:, None]

    @torch.no_grad()
    def steer(self, r_t: Tensor, images: int) -> dict[str, Tensor]:
        self.signs += r_t
        self.steps += 1
        if self.target is not None and self.steps >= self.interval:
            rise = images * self.steps / (1000 * self.kimg)
            towards = (self.signs / self.steps - self.target).sign()
            self.p.add_(towards * rise).clamp_(0, self.p_max)
            self.signs.zero_()
            self.steps.zero_()
        return {"ada_p": self.p}
