"""Tiny releases, methods and runs, and ways to watch a run."""

import copy
from pathlib import Path

import pytorch_lightning as pl
import torch
import yaml
from jsonargparse import ArgumentParser

import datamodules  # noqa: F401  makes class names known to YAML
import lit_synth.baselines
import lit_synth.methods  # noqa: F401
from lit_synth.checkpoints.release import save_release
from lit_synth.method import Method
from lit_synth.networks.classifier import SmallClassifier
from lit_synth.networks.small import SmallCritic, SmallGenerator

CONF = Path(__file__).parent / "conf"
METHODS = sorted(path.stem for path in CONF.glob("*.yaml"))


def write_releases(folder):
    """Write the releases that the files of tests/conf start from; every weight is random."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for name, size, classes in [
            ("plain", 16, (0, 0)),
            ("other", 16, (0, 0)),
            ("conditional", 16, (3, 0)),
            ("ac", 16, (3, 3)),
            ("larger", 32, (0, 0)),
        ]:
            networks = {
                "generator": SmallGenerator(size, 1, 8, 4, num_classes=classes[0]),
                "critic": SmallCritic(size, 1, 4, num_classes=classes[1]),
            }
            save_release(folder / name, networks, f"# {name}\n")
        classifier = SmallClassifier(16, 1, 10, width=4, feature_dim=8)
        seen = {"trained_on": {"sha256": "", "count": 0, "images": []}}
        save_release(folder / "classifier", {"classifier": classifier}, "# classifier\n", seen)
    return folder


def build(name, seed=0, **overrides):
    """Return method and data of tests/conf/<name>.yaml, in a folder that holds `sources`."""
    settings = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    settings["model"]["init_args"] |= overrides
    parser = ArgumentParser()
    parser.add_subclass_arguments(Method, "model")
    parser.add_subclass_arguments(pl.LightningDataModule, "data")
    torch.manual_seed(seed)
    built = parser.instantiate_classes(
        parser.parse_object({key: settings[key] for key in ("model", "data")})
    )
    return built.model, built.data


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
    """Train to the end of the stages; `data` is a data module or an iterable of batches."""
    run = trainer(**settings)
    run.fit(method, data)
    return run


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
        before = copy.deepcopy(self.method.state_dict())
        self.minimize(loss, optimizer)
        self.losses.append(loss.detach())
        self.gradients.append(
            {
                name: None if parameter.grad is None else parameter.grad.clone()
                for name, parameter in self.method.named_parameters()
            }
        )
        self.moved.append(changed_networks(before, self.method.state_dict()))


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
