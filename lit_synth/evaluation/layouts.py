"""Does an image have the layout that it was asked for, and the colours of its style?"""

import torch
from torch import Tensor

from lit_synth.contracts.generator import HasLayouts
from lit_synth.errors import InputError
from lit_synth.inference.ask import draw, layouts, translate
from lit_synth.inference.loading import load_method
from lit_synth.method import Method
from lit_synth.methods.segmenter import Segmenter
from lit_synth.metrics.segmentation import Segmentation

FEWEST = 12  # pixels of a part whose colour counts


class LayoutMeasures:
    """Reads the parts of images by a segmenter that no method has learned from.

    Args:
        judge: Release of a Segmenter.
        device: What it computes on.
    """

    def __init__(self, judge: str, device: torch.device) -> None:
        method = load_method(judge)
        if not isinstance(method, Segmenter):
            raise InputError(
                f"evaluate.segmenter is a {type(method).__name__}: give the release of a Segmenter."
            )
        self.judge, self.way = method.to(device), method.translations()[0]
        self.num_classes = method.coding.channels

    def measure(self, method: Method, n: int, batch_size: int, seed: int) -> dict[str, float]:
        """Return `layout/<measure>` of n images of a method that has layouts.

        `miou` is the overlap of the parts of an image with those of the image j that gives the
        layout, `miou_style` with those of the image i that gives the style; `miou_copy` is that of
        i with j, what a copy has. `colour` is the share of parts whose mean colour is nearer to
        that of the part in i than in j.
        """
        assert isinstance(method, HasLayouts), "asked by the caller"
        rng = torch.Generator().manual_seed(seed)
        overlap = {name: Segmentation(self.num_classes) for name in ("", "_style", "_copy")}
        nearer: list[Tensor] = []
        for start in range(0, n, batch_size):
            prior = method.prior(min(batch_size, n - start), rng)
            prior = {name: each.to(method.device) for name, each in prior.items()}
            made = draw(method, prior)
            i, j = (layouts(method, prior[name])[0] for name in ("z", "layout"))
            parts, parts_i, parts_j = (self._read(images) for images in (made, i, j))
            overlap[""].update(parts, parts_j)
            overlap["_style"].update(parts, parts_i)
            overlap["_copy"].update(parts_i, parts_j)
            own, style, layout = (
                self._colours(images, read)
                for images, read in ((made, parts), (i, parts_i), (j, parts_j))
            )
            further = (own - layout).norm(dim=2) - (own - style).norm(dim=2)
            nearer.append((further > 0)[further.isfinite()])
        values = {f"layout/miou{name}": each.values()["miou"] for name, each in overlap.items()}
        return {**values, "layout/colour": float(torch.cat(nearer).float().mean())}

    def _read(self, images: Tensor) -> Tensor:
        return translate(self.judge, {self.way.sources[0]: images}, self.way)

    def _colours(self, images: Tensor, parts: Tensor) -> Tensor:
        """Return the mean colour of each part (N, classes, C), NaN where it has few pixels."""
        found = []
        for number in range(self.num_classes):
            of_part = (parts == number)[:, None]
            count = of_part.sum((2, 3))
            mean = (images * of_part).sum((2, 3)) / count
            found.append(mean.where(count >= FEWEST, torch.nan))
        return torch.stack(found, dim=1)
