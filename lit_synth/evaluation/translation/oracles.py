"""Oracles: what a network reaches that is trained on pairs, beside translations without them."""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from lit_synth.batches.coding import Coding, Kind
from lit_synth.contracts.data import Batch, HasCompleteScenes, Scenes, TranslationData
from lit_synth.contracts.translator import Translation
from lit_synth.errors import InputError
from lit_synth.evaluation.translation.tally import Tally
from lit_synth.features.base import Extractor
from lit_synth.networks.segnet import SegNet, Side
from lit_synth.releases.cache import Trained, trained_once
from lit_synth.stages import Stage
from lit_synth.tensors.hashing import weights_hash

RECIPE = 1  # counted up when training changes, so that no older network is taken from the cache
SEED, WARMUP = 0, 50
TIMED = 5  # iterations from which the length of the training is foretold


@dataclass(frozen=True)
class Oracle:
    """A network from one modality to another, trained on scenes of which both are known.

    Attributes:
        source: Modality that it sees.
        target: Modality that it makes.
        iterations: Number of updates of Adam, whose step falls along half a cosine to 5 %.
        batch_size: Number of scenes per update, drawn with replacement.
        blocks: Widths of the network's blocks, as in `SegNet`.
        side: Side information that the decoder is told, as in `SegNet`.
        lr: Largest step size.
    """

    source: str
    target: str
    iterations: int = 1500
    batch_size: int = 32
    blocks: list[list[int]] = field(default_factory=lambda: [[16], [32, 32], [64, 64]])
    side: Side = "indices"
    lr: float = 2e-3

    def __post_init__(self) -> None:
        if self.source == self.target:
            raise InputError(
                f"evaluate.oracles has one from '{self.source}' to itself: give two modalities."
            )
        more_than_0 = {
            "iterations": self.iterations,
            "batch_size": self.batch_size,
            "lr": self.lr,
        }
        for name, value in more_than_0.items():
            if value <= 0:
                raise InputError(
                    f"evaluate.oracles has one with {name} = {value}: expected more than 0."
                )
        if not self.blocks or not all(self.blocks):
            raise InputError(
                f"evaluate.oracles has one with the blocks {self.blocks}: expected lists of widths."
            )

    @property
    def translation(self) -> Translation:
        """What it does."""
        return Translation((self.source,), (self.target,))


class Oracles:
    """Oracles, each trained on first use and kept for the next run on the same scenes.

    Args:
        data: Data module of the scenes.
        oracles: Networks that are trained.
        folder: Cache in which they are kept.

    Raises:
        InputError: If the data lacks what one of them needs.
    """

    def __init__(self, data: TranslationData, oracles: Sequence[Oracle], folder: Path) -> None:
        self.data, self.oracles, self.folder = data, list(oracles), folder
        self._trained: list[TrainedOracle] = []
        names = [oracle.translation.name for oracle in oracles]
        if twice := [name for name in names if names.count(name) > 1]:
            raise InputError(f"evaluate.oracles has {twice[0]} twice: leave one of them out.")
        for oracle in oracles:
            self._check(oracle)

    def _check(self, oracle: Oracle) -> None:
        for name in (oracle.source, oracle.target):
            if name not in self.data.modalities:
                raise InputError(
                    f"evaluate.oracles names '{name}', but the data has "
                    f"{', '.join(self.data.modalities)}: correct the name."
                )
        if not isinstance(self.data, HasCompleteScenes):
            raise InputError(
                f"the data {type(self.data).__name__} has no scenes with both {oracle.source} and "
                f"{oracle.target} for an oracle: leave evaluate.oracles out."
            )

    def train(self, split: str, device: torch.device) -> None:
        """Train what is not in the cache.

        Raises:
            InputError: If an oracle cannot be measured on this split, or its training fails.
        """
        if self.oracles:
            self._check_split(split)
        for oracle in self.oracles[len(self._trained) :]:
            self._trained.append(train_oracle(oracle, self.data, self.folder, device))

    def _check_split(self, split: str) -> None:
        known = self.data.split(split).fetch([0])
        for oracle in self.oracles:
            for name in (oracle.source, oracle.target):
                if name not in known:
                    raise InputError(
                        f"evaluate.oracles names '{name}', which the scenes of {split} lack: let "
                        "the data hold it out too, or leave this oracle out."
                    )

    @property
    def notes(self) -> list[str]:
        """Sentences for the card on each oracle that is trained."""
        return [trained.note for trained in self._trained]

    @torch.no_grad()
    def tallies(
        self,
        split: str,
        n: int,
        batch_size: int,
        device: torch.device,
        extractor: Extractor | None = None,
    ) -> list[Tally]:
        """Compare what the oracles make of a split's scenes with the truth.

        Args:
            split: `val` or `test`.
            n: Number of scenes that are used, the first of them.
            batch_size: Number of scenes translated at once.
            device: Device that the networks run on.
            extractor: Looks at images.

        Returns:
            A tally of each oracle.
        """
        self.train(split, device)
        modalities = self.data.modalities
        tallies = [
            Tally(oracle.translation, modalities[oracle.target], self.data.aligned, extractor)
            for oracle in self.oracles
        ]
        for start in range(0, n if tallies else 0, batch_size):
            x = self.data.split(split).fetch(range(start, min(start + batch_size, n)))
            x = {name: value.to(device) for name, value in x.items()}
            for trained, tally in zip(self._trained, tallies, strict=True):
                began = time.perf_counter()
                made = trained.translate(x)
                tally.add(made, x, len(made), began)
        return tallies


@dataclass
class TrainedOracle:
    """An oracle's network in eval mode, and how modalities enter and leave it."""

    oracle: Oracle
    source: Coding
    target: Coding
    network: SegNet
    scenes: int

    def translate(self, x: Batch) -> Tensor:
        with torch.autocast(x[self.oracle.source].device.type, enabled=False):
            return self.target.decode(self.network(_entering(self.source, x[self.oracle.source])))

    @property
    def note(self) -> str:
        return (
            f"oracle {self.oracle.translation.name}: an upper bound, trained on {self.scenes} "
            f"scenes with both modalities, pairs that the method does without; "
            f"{self.oracle.iterations} iterations of {self.oracle.batch_size} scenes, weights "
            f"{weights_hash(self.network)[:12]}."
        )


def train_oracle(
    oracle: Oracle, data: TranslationData, folder: Path, device: torch.device
) -> TrainedOracle:
    """Return an oracle from the cache, or train it and put it there."""
    scenes = cast("HasCompleteScenes", data).complete_set([oracle.source, oracle.target])
    n = len(scenes)
    source, target = (_coding(data, name) for name in (oracle.source, oracle.target))
    facts = {
        "recipe": RECIPE,
        "oracle": asdict(oracle),
        "codings": [asdict(source), asdict(target)],
        "scenes": {"sha256": scenes.sha256, "count": n},
    }

    def train() -> Trained:
        fresh = _on(device, TrainedOracle(oracle, source, target, _new(oracle, source, target), n))
        _fit(fresh, scenes, device)
        card = f"# Oracle of {oracle.translation.name}\n\n{fresh.note}\n"
        return Trained({"oracle": fresh.network}, card, facts)

    release = trained_once("oracle", json.dumps(facts, sort_keys=True), folder, train)
    network = release.network("oracle")
    if not isinstance(network, SegNet):
        raise InputError(
            f"{release.folder} holds no oracle: remove this folder, so that it is made again."
        )
    return _on(device, TrainedOracle(oracle, source, target, network, n))


def _on(device: torch.device, trained: TrainedOracle) -> TrainedOracle:
    trained.network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch lacks this one
    return trained


def _coding(data: TranslationData, name: str) -> Coding:
    modality = data.modalities[name]
    return Coding(cast("Kind", modality.kind), modality.channels)


def _new(oracle: Oracle, source: Coding, target: Coding) -> SegNet:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(SEED)  # torch.manual_seed would seed all devices
        return SegNet(
            source.channels, target.channels, oracle.blocks, oracle.side, target.kind == "image"
        )


def _fit(trained: TrainedOracle, scenes: Scenes, device: torch.device) -> None:
    """Train on scenes drawn with replacement; the global random generators are left alone."""
    oracle, network = trained.oracle, trained.network.train()
    stage = Stage("oracle", oracle.iterations, decay="cosine", warmup=WARMUP)
    optimizer = torch.optim.Adam(network.parameters(), oracle.lr)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, stage.lr_factor)
    rng, began = torch.Generator().manual_seed(SEED), 0.0
    no_autocast = torch.autocast(device.type, enabled=False)
    with torch.inference_mode(False), torch.enable_grad(), no_autocast:
        for k in range(oracle.iterations):
            if k == 1:
                began = time.perf_counter()  # the first one also sets things up
            if k == 1 + TIMED:
                _announce(oracle, (time.perf_counter() - began) / TIMED)
            rows = torch.randint(len(scenes), (oracle.batch_size,), generator=rng)
            batch = scenes.fetch(rows.tolist())
            x, truth = (batch[name].to(device) for name in (oracle.source, oracle.target))
            made = network(_entering(trained.source, x))
            loss = trained.target.reconstruction(made, truth, alone=True)
            _check_loss(oracle, loss.item())
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    network.eval()


def _entering(coding: Coding, x: Tensor) -> Tensor:
    return coding.encode(x).contiguous(memory_format=torch.channels_last)


def _announce(oracle: Oracle, seconds: float) -> None:
    print(
        f"Training the oracle {oracle.translation.name}, once for all runs on these scenes: "
        f"{oracle.iterations} iterations, about {seconds * oracle.iterations:.0f} s.",
        flush=True,
    )


def _check_loss(oracle: Oracle, loss: float) -> None:
    if not math.isfinite(loss):
        raise InputError(
            f"the loss of the oracle {oracle.translation.name} is {loss}: give it a lower lr than "
            f"{oracle.lr}, in evaluate.oracles."
        )
