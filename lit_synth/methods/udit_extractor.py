"""UDIT's semantic extractor: as few channels as tell a property apart (thesis section 5.5.1)."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.augment.base import Augment
from lit_synth.contracts.data import HasSplits
from lit_synth.errors import InputError
from lit_synth.method import Method
from lit_synth.networks.extractor import ExtractorHead, ExtractorNet, Feature, map_shape
from lit_synth.releases.format import SELF, load_release
from lit_synth.stages import Stage
from lit_synth.tensors.hashing import image_digests

CHUNK = 256  # images read at once
PAIRED = 1024  # images whose features' distances say what 1 is
KINDS: tuple[Feature, ...] = ("reduced", "naive")
UNKNOWN = -2.0  # accuracy of what was not evaluated
SHARED = "all"  # name of the one backbone, where it does not learn


class Images(Protocol):
    """Images in a fixed order."""

    def __len__(self) -> int: ...
    def images(self, index: Tensor) -> Tensor:
        """Return images (N, C, H, W) in [-1, 1] at positions `index` (N,)."""


class SemanticExtractor(Method):
    """Train classifiers whose maps are reduced to D channels, for several D at once.

    Each is a network of its own, started from the same backbone; none sees another. The release
    holds the one of the smallest D whose accuracy, as last evaluated, is within `tolerance` of the
    best; without any evaluation that of the largest D.

    Args:
        image_size: Height and width of the images.
        num_classes: Values of the property.
        stages: Usually one, with `decay: cosine`.
        backbone: Maps images (N, C, H, W) to maps (N, c, h, w); knows its `channels` C.
        start: Instead of `backbone`, a SemanticExtractor's release whose backbone to start from,
            e.g. one that was trained for other properties: its folder.
        backbone_frozen: Train heads alone, on one backbone that stays as it is?
        widths: The numbers of channels D to try.
        tolerance: Accuracy that a smaller D may cost.
        attribute: Name of the property.
        augment: What is done to the images of a step; None: nothing.
        lr: Adam learning rate of all networks.
        weight_decay: Adam's, of all networks.
    """

    def __init__(
        self,
        image_size: int,
        num_classes: int,
        stages: list[Stage],
        backbone: nn.Module | None = None,
        start: str | None = None,
        backbone_frozen: bool = False,
        widths: list[int] = [1, 2, 4, 8, 16, 32],  # noqa: B006  never mutated; shown in the help
        tolerance: float = 0.01,
        attribute: str = "label",
        augment: Augment | None = None,
        lr: float = 1e-3,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(stages)
        if not widths or widths != sorted(set(widths)) or widths[0] < 1:
            raise InputError(f"widths is {widths}: give rising numbers of channels from 1 on.")
        trunk = first_backbone(backbone, start)
        self.names = [f"d{width}" for width in widths]
        self.image_size = image_size
        self.backbone_frozen, self.augment = backbone_frozen, augment
        owners = [SHARED] if backbone_frozen else self.names
        self.backbones = nn.ModuleDict({name: copy.deepcopy(trunk) for name in owners})
        self.backbones.requires_grad_(not backbone_frozen).train(not backbone_frozen)
        shape = map_shape(trunk, image_size)
        self.heads = nn.ModuleDict(
            {f"d{width}": ExtractorHead(shape, width, num_classes) for width in widths}
        )
        self.accuracies: Tensor  # of each width, as last evaluated
        self.register_buffer("accuracies", torch.full((len(widths),), UNKNOWN))
        self.widths, self.tolerance, self.attribute = widths, tolerance, attribute
        self.lr, self.weight_decay = lr, weight_decay

    def configure_optimizers(self) -> torch.optim.Optimizer:
        trained = [p for p in self.parameters() if p.requires_grad]
        return torch.optim.Adam(trained, self.lr, weight_decay=self.weight_decay)

    def training_step(self, batch: dict[str, Tensor]) -> None:
        (optimizer,) = self.optimizers()
        images = batch["image"]
        if self.augment is not None:
            images = self.augment(images, self.rand)
        losses = {
            f"cross_entropy_{name}": F.cross_entropy(logits, batch["label"])
            for name, logits in self.logits(images).items()
        }
        # No two terms share a weight that learns.
        self.minimize(torch.stack(list(losses.values())).sum(), optimizer)
        self.track(**losses)

    def logits(self, images: Tensor) -> dict[str, Tensor]:
        """Return `d<D>` -> logits (N, K), float32 or wider, of images (N, C, H, W)."""
        maps = {name: backbone(images) for name, backbone in self.backbones.items()}
        found = {name: head(maps.get(name, maps.get(SHARED))) for name, head in self.heads.items()}
        return {k: t.to(torch.promote_types(t.dtype, torch.float32)) for k, t in found.items()}

    @torch.no_grad()
    def classify(self, images: Tensor) -> dict[str, Tensor]:
        return self.logits(images)

    def measured(self, values: dict[str, float]) -> None:
        for position, name in enumerate(self.names):
            if f"{name}/accuracy" in values:
                self.accuracies[position] = values[f"{name}/accuracy"]

    @property
    def chosen(self) -> str:
        """Name `d<D>` of the network that is released."""
        best = self.accuracies.max()
        if best == UNKNOWN:
            return self.names[-1]
        enough = self.accuracies >= best - self.tolerance - 1e-6  # .99 is within .01 of 1
        return self.names[int(enough.nonzero()[0])]

    def generate(self, batch: dict[str, Tensor]) -> Tensor:  # noqa: ARG002
        raise InputError(
            "a SemanticExtractor classifies images and makes none: give its release to UDIT."
        )

    def train(self, mode: bool = True) -> "SemanticExtractor":
        """Switch all networks but a frozen backbone."""
        super().train(mode)
        if self.backbone_frozen:
            self.backbones.eval()
        return self

    def on_train_start(self) -> None:
        super().on_train_start()
        self.training_images()

    def training_images(self) -> Images:
        """Return the images that the run trains on; InputError if nobody knows."""
        data = getattr(self.trainer, "datamodule", None)
        if not isinstance(data, HasSplits):
            raise InputError(
                "a SemanticExtractor's release names the images that it was trained on: train it "
                "with a data module that has split('train')."
            )
        return cast("Images", data.split("train"))

    def release(self) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        """Return `backbone` and `head` of the chosen D, and how it was chosen and trained.

        Facts: `attribute`, `width`, `accuracies` (`accuracy_d<D>`), `scale` of the features
        `reduced` and `naive`: their mean absolute difference over random pairs of training images;
        `trained_on`: digests of the training images.
        """
        name = self.chosen
        backbone = self.backbones[SHARED if self.backbone_frozen else name]
        head = cast("ExtractorHead", self.heads[name])
        images = self.training_images()
        digests = [
            d for x in in_chunks(images, torch.arange(len(images))) for d in image_digests(x)
        ]
        accuracies = zip(self.names, self.accuracies.tolist(), strict=True)
        facts = {
            "attribute": self.attribute,
            "width": self.widths[self.names.index(name)],
            "accuracies": {f"accuracy_{d}": value for d, value in accuracies if value >= 0},
            "scale": scales(ExtractorNet(backbone, head), images),
            "trained_on": {"count": len(images), "images": digests},
        }
        return {"backbone": backbone, "head": head}, facts

    def released_settings(self) -> dict[str, Any]:
        widths = [self.widths[self.names.index(self.chosen)]]
        return {"backbone": None, "start": SELF, "widths": widths}

    def restore(
        self,
        tensors: Mapping[str, Tensor],
        extra: Mapping[str, Any],  # noqa: ARG002 - the tensors say it all
    ) -> None:
        (backbone,), (head,) = self.backbones.values(), self.heads.values()
        nn.ModuleDict({"backbone": backbone, "head": head}).load_state_dict(tensors)


def first_backbone(backbone: nn.Module | None, start: str | None) -> nn.Module:
    """Return the given backbone or that of a release; InputError unless one of them is given."""
    if backbone is not None and start is None:
        return backbone
    if start is not None and backbone is None:
        return load_release(start).network("backbone")
    given = "neither" if start is None else "both"
    raise InputError(f"of backbone and start {given} are given: give one of them.")


def in_chunks(images: Images, index: Tensor) -> Iterator[Tensor]:
    """Yield the images at positions `index` (N,), some at a time."""
    for positions in torch.split(index, CHUNK):
        yield images.images(positions)


@torch.no_grad()
def scales(network: ExtractorNet, images: Images) -> dict[str, float]:
    """Return mean |h(x) - h(x')| over random pairs of images, of each kind of feature.

    Args:
        network: Its mode and type stay.
        images: Two or more.
    """
    network = copy.deepcopy(network).float().eval()
    device = next(network.parameters()).device
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:PAIRED]
    sums = dict.fromkeys(KINDS, 0.0)
    with torch.autocast(device.type, enabled=False):
        for x in in_chunks(images, order):
            for kind in KINDS:
                feature = network.feature(x.to(device), kind)
                pairs = (feature - feature.roll(1, dims=0)).abs()
                sums[kind] += len(x) * pairs.mean().item()
    return {kind: value / len(order) for kind, value in sums.items()}
