"""Tiny releases, methods and runs, and ways to watch a run."""

import copy
from dataclasses import replace
from pathlib import Path

import pytorch_lightning as pl
import torch
import yaml
from jsonargparse import ArgumentParser
from torch.utils.data import DataLoader

import datamodules  # noqa: F401  makes class names known to YAML
import lit_synth.baselines
import lit_synth.methods  # noqa: F401
from lit_synth.method import Method
from lit_synth.networks.classifier import SmallClassifier
from lit_synth.networks.deeplab import DeepLab
from lit_synth.networks.extractor import ConvBackbone, ExtractorHead
from lit_synth.networks.proxy_masks import ProxyMasks
from lit_synth.networks.rearranger import Rearranger
from lit_synth.networks.small import SmallCritic, SmallGenerator
from lit_synth.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from lit_synth.networks.wgan_gp_resnet import ResNetGenerator
from lit_synth.releases.format import save_release

CONF = Path(__file__).parents[1] / "conf"
METHODS = sorted(path.stem for path in CONF.glob("*.yaml") if "." not in path.stem)


def write_releases(folder):
    """Write the releases that the files of tests/conf start from; every tensor is random."""
    small = [SmallGenerator(16, 1, 8, 4), SmallCritic(16, 1, 4)]
    networks = {
        "plain": small,
        "other": small,
        "conditional": [SmallGenerator(16, 1, 8, 4, num_classes=3), small[1]],
        "ac": [SmallGenerator(16, 1, 8, 4, num_classes=3), SmallCritic(16, 1, 4, num_classes=3)],
        "normed": [ResNetGenerator(16, 1, 8, 4, running_stats=True), small[1]],
        "larger": [SmallGenerator(32, 1, 8, 4), SmallCritic(32, 1, 4)],
    }
    rng = torch.Generator().manual_seed(1)
    for name, (generator, critic) in networks.items():
        randomise(generator, rng)
        randomise(critic, rng)
        save_release(folder / name, {"generator": generator, "critic": critic}, f"# {name}\n")
    _write_stylegan2(folder)
    classifier = randomise(SmallClassifier(16, 1, 10, width=4, feature_dim=8), rng)
    seen = {"trained_on": {"sha256": "", "count": 0, "images": []}}
    save_release(folder / "classifier", {"classifier": classifier}, "# classifier\n", seen)
    h = {"backbone": ConvBackbone(1, [4, 8]), "head": ExtractorHead([8, 8, 8], 2, 3)}
    for network in h.values():
        randomise(network, rng)
    facts = {"attribute": "level", "scale": {"reduced": 0.5, "naive": 0.25}} | seen
    save_release(folder / "extractor", h, "# extractor\n", facts)
    segmenter = DeepLab(4, [1, 1, 1], [1], 4, 1, [1, 2, 3], pooled=8, low=4, dropout=False)
    randomise(segmenter, rng)
    save_release(folder / "segmenter", {"network": segmenter}, "# segmenter\n")
    return folder


def _write_stylegan2(folder):
    """Write a StyleGAN2 of 16 px, and a rearranger of it at 8."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        generator = StyleGAN2Generator(16, 3, 6, 8, 64, 8, 2)
        critic = StyleGAN2Discriminator(16, 3, 64, 8, mbstd_group=2)
        proxy, rearranger = ProxyMasks(8, 3), Rearranger(8, 3, 3, 8, 4)
        torch.nn.init.normal_(proxy.centroids)
        torch.nn.init.normal_(rearranger.after.convs[-1].weight, std=0.1)
    networks = {"generator": generator, "critic": critic}
    save_release(folder / "stylegan2", networks, "# stylegan2\n")
    networks |= {"proxy": proxy, "rearranger": rearranger}
    save_release(folder / "rearranger", networks, "# rearranger\n", {"size": 8})


@torch.no_grad()
def randomise(network, rng):
    """Draw every parameter anew, biases included, so that no two are equal by construction."""
    for name, parameter in network.named_parameters():
        fan_in = max(parameter.numel() // len(parameter), 4)
        drawn = torch.randn(parameter.shape, generator=rng) / fan_in**0.5
        parameter.copy_(drawn + ("norm" in name and name.endswith("weight")))
    return network


def build(name, seed=0, **overrides):
    """Return method and data of tests/conf/<name>.yaml, in a folder that holds `sources`."""
    settings = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    settings["model"]["init_args"] |= overrides
    parser = ArgumentParser()
    parser.add_subclass_arguments(Method, "model")
    parser.add_subclass_arguments(pl.LightningDataModule, "data")
    torch.manual_seed(seed)
    built = parser.instantiate(
        parser.parse_object({key: settings[key] for key in ("model", "data")})
    )
    return built.model, built.data


def expected(name):
    """Return what is known of a run of tests/conf/<name>.yaml."""
    return yaml.safe_load((CONF / f"{name}.expected.yaml").read_text())


def trainer(**settings):
    """Return a trainer that writes nothing, and stops where the method's stages end."""
    quiet = {
        "accelerator": "cpu",
        "max_epochs": -1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "use_distributed_sampler": False,
        "limit_val_batches": 0,
    }
    return pl.Trainer(**(quiet | settings))


def fit(method, data, **settings):
    """Train to the end of the stages; `data` is a data module or a list of batches."""
    if isinstance(data, list):
        data = DataLoader(data, batch_size=None)
    run = trainer(**settings)
    run.fit(method, data)
    return run


def iterate(method, batch):
    """Run one iteration in float64, and return what came before it and what it did.

    Returns:
        A copy of the method as it was, one of its random generator, and the record of `minimize`.
    """
    method.double()
    before, rng = copy.deepcopy(method), torch.Generator()
    rng.set_state(method.draws.rng.get_state())
    record = Minimized(method)
    method.stages = [replace(method.stages[0], iterations=1)]
    fit(method, [batch], precision="64-true")
    return before, rng, record


def images(n, size=16, seed=5):
    """Return n random images (n, 1, size, size) in [-1, 1], float64."""
    rng = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(n, 1, size, size, generator=rng, dtype=torch.float64) - 1


def slow_gradient_penalty(score, x, x_fake, alpha):
    """Return mean (|grad score(mix)| - 1)^2, one image after the other, with its graph."""
    terms = []
    for real, fake, a in zip(x, x_fake, alpha, strict=True):
        mix = (a * real + (1 - a) * fake)[None].detach().requires_grad_()
        (slope,) = torch.autograd.grad(score(mix).sum(), mix, create_graph=True)
        terms.append((slope.square().sum().sqrt() - 1) ** 2)
    return sum(terms) / len(terms)


def gradients(loss, network):
    """Return the gradients of a scalar in a network's parameters, None where there is none."""
    parameters = list(network.parameters())
    return torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)


def draw(method, n=6, seed=3):
    """Return images of `generate` for inputs drawn from a seed."""
    return method.generate(method.prior(n, torch.Generator().manual_seed(seed)))


class Minimized:
    """Records, at every call of a method's `minimize`, its loss, gradients and what it moved.

    Attributes:
        losses: Of each call.
        gradients: Of each call, by parameter name; None where there was none.
        moved: Of each call, the names of the networks whose parameters or buffers changed.
    """

    def __init__(self, method):
        self.method, self.minimize = method, method.minimize
        self.losses, self.gradients, self.moved = [], [], []
        method.minimize = self

    def __call__(self, loss, optimizer):
        before = state(self.method)
        self.minimize(loss, optimizer)
        self.losses.append(loss.detach())
        self.gradients.append(
            {
                name: None if parameter.grad is None else parameter.grad.clone()
                for name, parameter in self.method.named_parameters()
            }
        )
        self.moved.append(changed_networks(before, state(self.method)))

    def of(self, call, network):
        """Return the gradients of one network's parameters at one call."""
        return [g for name, g in self.gradients[call].items() if name.split(".")[0] == network]


def state(method):
    """Return a copy of all parameters and buffers by name."""
    return copy.deepcopy(method.state_dict())


def changed_networks(before, after):
    """Return the first part of the names of the tensors that differ."""
    return {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}


def tracked_terms(method):
    """Return a list that fills with what the method tracks, one dict of floats per call."""
    terms = []
    track = method.track

    def record(**values):
        terms.append({name: value.item() for name, value in values.items()})
        track(**values)

    method.track = record
    return terms
