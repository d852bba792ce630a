"""A method that translates tiny scenes by rule, so that what is measured is known beforehand."""

import torch
from torch import nn

from lit_synth.contracts.translator import Translation
from lit_synth.method import Method
from lit_synth.networks.parts.rebuilding import records_init_args
from lit_synth.stages import Stage

DEPTH, CLASS = 3.0, 2  # what the constant translations say

TO_DEPTH = Translation(("rgb",), ("depth",))
TO_CLASSES = Translation(("depth",), ("segmentation",))
TO_RGB = Translation(("depth",), ("rgb",))
CASCADE = Translation(("depth",), ("rgb", "segmentation"))
FUSED = Translation(("rgb", "depth"), ("segmentation",))


class ToyNet(nn.Module):
    @records_init_args
    def __init__(self):
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(1), nn.Conv2d(1, 1, 1)

    def forward(self, x):
        return self.conv(self.norm(x))


class ToyTranslator(Method):
    """Says the same depth and class everywhere, and grey images that batch norm has made."""

    def __init__(self):
        super().__init__([Stage("only", 2)])
        self.net = ToyNet()
        self.asked = []

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.01)

    def training_step(self, batch):
        (optimizer,) = self.optimizers()
        (depth,) = (each["depth"] for each in batch.values() if "depth" in each)
        self.minimize(self.net(depth).square().mean(), optimizer)

    def translations(self):
        return [TO_DEPTH, TO_CLASSES, TO_RGB, CASCADE, FUSED]

    def translate(self, x, translation):
        assert not torch.is_grad_enabled()
        assert not any(each.training for each in self.modules())
        torch.rand(())  # a careless method draws from the global generator
        given = x[translation.sources[0]]
        index = x["index"].tolist() if "index" in x else []
        self.asked.append((translation.name, index))
        if translation.target == "depth":
            return torch.full_like(given[:, :1], DEPTH)
        if translation.target == "segmentation":
            return torch.full_like(given[:, 0], CLASS, dtype=torch.int64)
        return self.net(given).tanh().expand(-1, 3, -1, -1)

    def generate(self, batch):
        return self.translate(batch, TO_DEPTH)


class ToyMixer(ToyTranslator):
    """Has latents, which agree between RGB and depth alone, and side information."""

    def latents(self, x):
        rgb = x["rgb"].flatten(1) + 3
        return {"rgb": rgb, "depth": 2 * rgb, "segmentation": rgb.roll(1, 0)}

    def swap(self, x, translation):
        return {
            "depth": lambda: torch.full_like(x["rgb"][:, :1], 2 * DEPTH),
            "segmentation": lambda: x["segmentation"].roll(1, 0) % 255,
        }[translation.target]()
