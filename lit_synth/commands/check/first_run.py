"""The first run on data of one's own: which config, and the flags that fit it to a folder."""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from datamodules.inspection.report import Report

Arguments = dict[str, Any]

_WHOLE = 256  # pixels, from which CycleGAN's generators have nine blocks
_FEW_BLOCKS = 6
_TWO_IMAGES = 6  # channels


@dataclass(frozen=True)
class FirstRun:
    """What is said on the command line besides the data module's own arguments.

    Attributes:
        config: Name of the configuration.
        batch_size: Images of each set to a batch.
        model: Arguments of the method.
        flags: Others.
    """

    config: str
    batch_size: int
    model: Arguments
    flags: Arguments


def command(report: Report) -> str:
    """Return a whole command line that trains on a folder, ready for a shell."""
    run = _PLANS[report.reading.task](report)
    flags = {
        "run_id": _run_id(report.folder.root.resolve().stem),
        "data": report.reading.data,
        **dict(_flat("data.init_args", {**report.options, "batch_size": run.batch_size})),
        **dict(_flat("model.init_args", run.model)),
        **run.flags,
    }
    words = [word for name, value in flags.items() for word in (f"--{name}", _said(value))]
    return shlex.join(["lit-synth", "fit", "--config", f"configs/{run.config}.yaml", *words])


def _scratch(report: Report) -> FirstRun:
    networks = {"image_size": report.image_size, "image_channels": report.channels}
    return FirstRun(
        "scratch", 32, {"generator": networks, "critic": networks}, {"evaluate.extractor": None}
    )


def _conditional(report: Report) -> FirstRun:
    networks = {
        "image_size": report.image_size,
        "image_channels": report.channels,
        "num_classes": len(report.reading.names),
    }
    model = {"source": None, "generator": networks, "critic": networks}
    return FirstRun("transfer_acgan", 32, model, {"evaluate.extractor": None})


def _domains(report: Report) -> FirstRun:
    names = list(report.reading.names)
    if len(names) > 2:
        return _labels(report, {"domains": names})
    blocks = {"n_blocks": _FEW_BLOCKS} if report.image_size < _WHOLE else {}
    model = {"a": names[0], "b": names[1], "generator_ab": blocks, "generator_ba": blocks}
    return FirstRun("cyclegan", 1, model, {})


def _attributes(report: Report) -> FirstRun:
    return _labels(report, {"domains": list(report.reading.names), "exclusive": False})


def _labels(report: Report, model: Arguments) -> FirstRun:
    networks = {"n_labels": len(report.reading.names)}
    model = {**model, "generator": networks, "discriminator": networks}
    return FirstRun("sdit", 4, model, {"evaluate.every_n_iterations": None})


def _pairs(report: Report) -> FirstRun:
    """Return the run of pix2pix; its config has two RGB images, a and b."""
    source, target = report.reading.pair or ("a", "b")
    seen, made = (_coding(report.reading.modalities[name]) for name in (source, target))
    generator: Arguments = {"image_size": report.image_size}
    model: Arguments = {"generator": generator}
    if (source, target) != ("a", "b"):
        model |= {"source": source, "target": target}
    if seen["kind"] != "image":
        model["source_coding"] = seen
        generator["in_channels"] = seen["channels"]
    if made["kind"] != "image":
        model["target_coding"] = made
        generator |= {"out_channels": made["channels"], "tanh": False}
    if (channels := seen["channels"] + made["channels"]) != _TWO_IMAGES:
        model["discriminator"] = {"channels": channels}
    return FirstRun("pix2pix", 1, model, {})


def _coding(spec: Mapping[str, Any]) -> Arguments:
    kind = spec.get("kind", "image")
    channels = {"image": 3, "depth": 1, "labels": spec.get("channels")}[kind]
    return {"kind": kind, "channels": channels, "loss": None}  # the kind's own


_PLANS = {
    "generate": _scratch,
    "classes": _conditional,
    "domains": _domains,
    "attributes": _attributes,
    "pairs": _pairs,
}
_NETWORKS = ("generator", "critic", "discriminator", "generator_ab", "generator_ba")


def _flat(prefix: str, arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield flag and value; those of a network are arguments of their own."""
    for name, value in arguments.items():
        if name in _NETWORKS:
            yield from _flat(f"{prefix}.{name}.init_args", value)
        else:
            yield f"{prefix}.{name}", value


def _said(value: object) -> str:
    """Return a value as YAML says it in one line."""
    if isinstance(value, str):
        return value
    text = yaml.safe_dump(value, default_flow_style=True, width=float("inf"), sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def _run_id(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.") or "data"
