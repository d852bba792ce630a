"""Networks of releases as programs for inference: torch.export and ONNX, checked before writing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lit_synth.contracts.generator import as_generator
from lit_synth.errors import InputError
from lit_synth.networks.unet import UNet

CHECKED = 64  # random inputs
AT_ONCE = 4
TRANSLATED_PX = 256  # of a translator that takes images of any size
CLOSE = 1e-3  # largest difference of images in [-1, 1] that is passed
Inputs = tuple[Tensor, ...]
Program = Callable[[Inputs], Tensor]


def export_program(network: nn.Module, out: Path, onnx: bool) -> float:
    """Write a network's pass in eval mode, any number of inputs at once.

    Args:
        network: A generator, or a translator of images.
        out: File to write.
        onnx: Write ONNX? Otherwise what `torch.export.load` reads.

    Returns:
        The largest difference from the network over 64 random inputs.

    Raises:
        InputError: It cannot be traced, differs more than rounding does, or a package is missing.
    """
    inputs = random_inputs(network)
    first = tuple(each[:2] for each in inputs)
    batch = torch.export.Dim("batch", min=1)
    shapes = tuple({0: batch} for _ in inputs)
    try:
        with torch.no_grad():
            program = torch.export.export(network, first, dynamic_shapes=shapes)
    except RuntimeError as error:  # of torch's tracing, whose messages fill a page
        raise InputError(
            f"torch.export cannot trace a {type(network).__name__}, whose steps depend on its "
            "inputs, as those of a mined GAN do: export a network that always takes the same."
        ) from error
    write, run = _onnx(program, first, shapes) if onnx else _torch(program)
    difference = largest_difference(network, run, inputs)
    if not difference < CLOSE:
        raise InputError(
            f"the exported network differs from the release by {difference:.2g}, more than "
            f"rounding does ({CLOSE:g}); nothing is written: use the release itself."
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    write(out)
    return difference


def random_inputs(network: nn.Module) -> Inputs:
    """Return what 64 passes take: z and, with classes, labels; of a translator images."""
    rng = torch.Generator().manual_seed(0)
    if hasattr(network, "latent_dim"):
        made = as_generator(network)
        z = torch.randn(CHECKED, made.latent_dim, generator=rng)
        if not made.num_classes:
            return (z,)
        return z, torch.randint(made.num_classes, (CHECKED,), generator=rng)
    size = network.image_size if isinstance(network, UNet) else TRANSLATED_PX
    channels = vars(network).get("init_args", {}).get("in_channels")
    if channels is None:
        raise InputError(
            f"{type(network).__name__} is neither a generator nor a translator of images: expected "
            "a release whose network `generator` is one."
        )
    return (torch.rand(CHECKED, channels, size, size, generator=rng) * 2 - 1,)


@torch.no_grad()
def largest_difference(network: nn.Module, run: Program, inputs: Inputs) -> float:
    """Return the largest difference between a network's images and a program's."""
    worst = 0.0
    for start in range(0, len(inputs[0]), AT_ONCE):
        part = tuple(each[start : start + AT_ONCE] for each in inputs)
        worst = max(worst, (network(*part) - run(part)).abs().max().item())
    return worst


def _torch(program: torch.export.ExportedProgram) -> tuple[Callable[[Path], None], Program]:
    module = program.module()
    return lambda out: torch.export.save(program, out), lambda inputs: module(*inputs)


def _onnx(
    program: torch.export.ExportedProgram, example: Inputs, shapes: tuple[Any, ...]
) -> tuple[Callable[[Path], None], Program]:
    try:
        import onnxruntime  # type: ignore[import-not-found,import-untyped,unused-ignore]
        import onnxscript  # type: ignore[import-not-found,unused-ignore]  # noqa: F401 - torch needs it
    except ImportError as error:
        raise InputError(
            f"ONNX needs the package {error.name}, which is not installed: "
            "pip install 'lit-synth[onnx]', or use --layout torch-export."
        ) from error
    made = torch.onnx.export(program, example, dynamic_shapes=shapes, dynamo=True, verbose=False)
    assert made is not None, "of a program it returns one"
    session = onnxruntime.InferenceSession(made.model_proto.SerializeToString())
    names = [each.name for each in session.get_inputs()]

    def run(inputs: Inputs) -> Tensor:
        given = {name: each.numpy() for name, each in zip(names, inputs, strict=True)}
        return torch.from_numpy(session.run(None, given)[0])

    return lambda out: made.save(str(out)), run
