"""A tiny method, tiny data and a short run, for the tests of the callbacks."""

import pytorch_lightning as pl
import torch
from torch import nn

from datamodules.base.image_data import ImageDataModule
from datamodules.items.splits import MemoryImages
from lit_synth.callbacks.checkpoint import Checkpoint
from lit_synth.method import Method
from lit_synth.networks.parts.rebuilding import records_init_args
from lit_synth.runs.metrics_csv import CSVLogger
from lit_synth.stages import Stage

SIZE = 8


class ToyGenerator(nn.Module):
    @records_init_args
    def __init__(self, latent_dim=4):
        super().__init__()
        self.latent_dim = latent_dim
        self.fc = nn.Linear(latent_dim, SIZE * SIZE)
        self.norm = nn.BatchNorm1d(SIZE * SIZE)

    def forward(self, z):
        return self.norm(self.fc(z)).tanh().view(-1, 1, SIZE, SIZE)


class ToyCritic(nn.Module):
    @records_init_args
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(SIZE * SIZE, 1)
        self.drop = nn.Dropout(0.5)  # draws from the global generator in training

    def forward(self, x):
        return self.fc(self.drop(x.flatten(1))).squeeze(1)


class ToyGAN(Method):
    """A GAN whose every step draws from all generators; a term can be broken at an iteration."""

    def __init__(self, stages=None, broken=None, at=3):
        super().__init__(stages or [Stage("first", 4), Stage("second", 4, freeze=["critic"])])
        self.generator, self.critic = ToyGenerator(), ToyCritic()
        self.broken, self.at = broken, at
        self.generated = []

    def configure_optimizers(self):
        return [torch.optim.Adam(net.parameters(), 0.05) for net in (self.generator, self.critic)]

    def training_step(self, batch):
        x = batch["image"]
        opt_g, opt_d = self.optimizers()
        if "critic" not in self.stage.freeze:
            with self.toggled_optimizer(opt_d):
                fake = self.generator(self.randn(len(x), 4)).detach()
                d_adv = self.critic(fake).mean() - self.critic(x).mean()
                d_reg = self._break("d_reg", self.critic(x).square().mean())
                self.minimize(d_adv + d_reg, opt_d)
            self.track(d_adv=d_adv, d_reg=d_reg)
        with self.toggled_optimizer(opt_g):
            g_adv = self._break("g_adv", -self.critic(self.generator(self.randn(len(x), 4))).mean())
            self.minimize(g_adv, opt_g)
        self.track(g_adv=g_adv)

    def _break(self, name, value):
        return value * float("nan") if (name, self.iteration) == (self.broken, self.at) else value

    def prior(self, n, rng):
        return {"z": torch.randn(n, 4, generator=rng)}

    def generate(self, batch):
        assert not any(each.training for each in self.modules())
        torch.rand(())  # a careless method draws from the global generator
        images = self.generator(batch["z"])
        self.generated.append((self.generator.fc.weight.detach().clone(), images.clone()))
        return images


class ToyConditionalGAN(ToyGAN):
    """Draws one of two classes; the class decides how bright the image is."""

    def prior(self, n, rng):
        return {**super().prior(n, rng), "label": torch.randint(2, (n,), generator=rng)}

    def generate(self, batch):
        shift = batch["label"].view(-1, 1, 1, 1) * 1.0 - 0.5
        return (0.3 * super().generate(batch) + shift).clamp(-1, 1)


class ToyData(ImageDataModule):
    """Dark and bright noise: class 0 and 1."""

    resize_rule = split_rule = "none"
    class_names = ["dark", "bright"]  # noqa: RUF012

    def __init__(self, batch_size=4, labelled=True):
        super().__init__(SIZE, 1, batch_size, num_workers=0, seed=0, augment=None)
        self.labelled = labelled

    def load_split(self, name):
        rng = torch.Generator().manual_seed(["train", "val", "test"].index(name))
        label = torch.arange(24) % 2
        pixels = torch.randint(100, (24, 1, SIZE, SIZE), generator=rng) + 140 * label.view(
            -1, 1, 1, 1
        )
        return MemoryImages(pixels.to(torch.uint8), {"label": label} if self.labelled else {})


def trainer_of(folder, *callbacks, **settings):
    """Return a trainer on the CPU whose run folder is `folder`."""
    settings = {"logger": [CSVLogger(str(folder))], "log_every_n_steps": 2} | settings
    return pl.Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        max_epochs=-1,
        limit_val_batches=0,
        callbacks=list(callbacks),
        enable_checkpointing=any(isinstance(each, Checkpoint) for each in callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        **settings,
    )


def fit(folder, *callbacks, method=None, data=None, **settings):
    """Train a toy from seed 0 and return it and its trainer."""
    pl.seed_everything(0, verbose=False)
    method = method() if method else ToyGAN()
    trainer = trainer_of(folder, *callbacks, **settings)
    trainer.fit(method, data or ToyData())
    return method, trainer


def weights(module):
    return {name: each.clone() for name, each in module.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
