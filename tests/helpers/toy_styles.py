"""A method that translates tiny domains in styles by rule, so that what it makes is known."""

import torch
from torch import nn

from lit_synth.contracts.translator import Translation
from lit_synth.method import Method
from lit_synth.networks.parts.rebuilding import records_init_args
from lit_synth.stages import Stage

STYLE_DIM = 2
BOTH_WAYS = [Translation(("dark",), ("bright",)), Translation(("bright",), ("dark",))]
FROM_GREY = Translation(("grey",), ("bright",))
FALLBACK = 0.0  # level where no style is given


class Level(nn.Module):
    """Makes images of a level, with a trace of the input."""

    @records_init_args
    def __init__(self, trace=0.05):
        super().__init__()
        self.trace = nn.Parameter(torch.tensor(trace))

    def forward(self, x, level):
        return (level[:, None, None, None] + self.trace * x).clamp(-1, 1)


class ToyPlain(Method):
    """Makes one result of each input."""

    def __init__(self, lr=0.1, iterations=2):
        super().__init__([Stage("only", iterations)])
        self.generator, self.unreleased, self.lr = Level(), Level(), lr

    def configure_optimizers(self):
        return torch.optim.SGD(self.generator.parameters(), self.lr)

    def training_step(self, batch):
        (optimizer,) = self.optimizers()
        x = batch["dark"]["dark"]
        self.minimize(self.generator(x, x.mean((1, 2, 3))).square().mean(), optimizer)

    def release(self):
        return {"generator": self.generator}, {}

    def translations(self):
        return [*BOTH_WAYS, FROM_GREY]

    def translate(self, x, translation):
        assert not torch.is_grad_enabled()
        torch.rand(())  # a careless method draws from the global generator
        source = x[translation.sources[0]]
        return self.generator(source, self.level(x, source))

    def level(self, x, source):  # noqa: ARG002 - for the styles
        return source.new_full((len(source),), FALLBACK)

    def generate(self, batch):
        return self.translate(batch, BOTH_WAYS[0])


class ToyDrawn(ToyPlain):
    """The first number of a style, after a tanh, is the level of the result."""

    style_dim = STYLE_DIM

    def level(self, x, source):
        return x["style"][:, 0].tanh() if "style" in x else super().level(x, source)


class ToyStyles(ToyDrawn):
    """Changes the left half alone, and reads the level of an image."""

    def read_styles(self, images, domain):
        assert domain in ("dark", "bright")
        level = images.mean((1, 2, 3)).clamp(-0.99, 0.99).atanh()
        return torch.stack([level, torch.zeros_like(level)], dim=1)

    def attention(self, x, translation):
        share = torch.zeros_like(x[translation.sources[0]])
        share[..., : share.shape[-1] // 2] = 1
        return share
