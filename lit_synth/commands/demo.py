"""`lit-synth demo`: mine two bundled digit GANs for a 200-image mix, beside the alternatives."""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from lit_synth.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from datamodules.datasets.digits import Digits
    from lit_synth.features.base import Extractor
    from lit_synth.methods.minegan import MineGAN

SOURCES = ("digits-0-4", "digits-5-9")
N_FAKE = 1000


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = subparsers.add_parser("demo", help="mine two bundled digit GANs and compare")
    parser.add_argument("--config", default="configs/minegan.yaml", help="The mining run.")
    parser.add_argument(
        "--transfer", default="configs/transfergan.yaml", help="The TransferGAN runs."
    )
    parser.add_argument("--runs_dir", default="runs")
    parser.add_argument("--fresh", action="store_true", help="Train again, whatever is there.")


def run(args: argparse.Namespace) -> int:
    """Train the three runs two at a time, judge five ways to make the mix, and draw them."""
    for config in (args.config, args.transfer):
        if not Path(config).is_file():
            raise InputError(f"no file {config}: run the demo in the project's folder.")
    began = time.perf_counter()
    print("Mining two digit GANs (one knows 0-4, the other 5-9) for 200 images of 2 and 7.")
    print("Beside it, TransferGAN fine-tunes each of them on the same images.\n")
    rivals = [_fit(args, args.transfer, source) for source in SOURCES[:1]]
    mining_began = time.perf_counter()
    _wait(_fit(args, args.config))
    print(f"That took {time.perf_counter() - mining_began:.0f} s, start-up included.\n")
    rivals.append(_fit(args, args.transfer, SOURCES[1]))
    for rival in rivals:
        _wait(rival)
    _judge_all(args)
    print(f"\nThe whole demo took {time.perf_counter() - began:.0f} s.")
    return 0


def _fit(
    args: argparse.Namespace, config: str, source: str | None = None
) -> subprocess.Popen[bytes]:
    """Start a training command; TransferGAN's (with a source) in the background, silently."""
    command = [sys.executable, "-m", "lit_synth.cli", "fit", "--config", config]
    command += ["--runs_dir", args.runs_dir]
    if args.fresh:
        command += ["--ckpt_path", "fresh"]
    if source is not None:
        command += ["--run_id", source, "--model.init_args.source", source]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    log = None if source is None else subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdout=log, stderr=log and subprocess.STDOUT)


def _wait(process: subprocess.Popen[bytes]) -> None:
    output, _ = process.communicate()
    if process.returncode:
        print((output or b"").decode()[-2000:], file=sys.stderr)
        raise InputError("a training run of the demo failed; its own message stands above.")


def _judge_all(args: argparse.Namespace) -> None:
    import torch
    from rich.console import Console
    from rich.table import Table

    from lit_synth.features.classifier import ReleaseClassifier

    torch.set_grad_enabled(False)
    run_folder = Path(args.runs_dir) / Path(args.config).stem / "seed0"
    digits = _target(args.config)
    counts = digits.counts or {}
    wanted = {c: n / sum(counts.values()) for c, n in sorted(counts.items())}
    extractor = ReleaseClassifier("digit-classifier")
    images, p = _everyones_images(args, run_folder)

    table = Table(title="1,000 images each, against held-out digits of the target mix")
    table.add_column("how")
    for column in ("FID (lower is better)", "read as a 2 or 7", *(f"share of {c}" for c in wanted)):
        table.add_column(column, justify="right")
    for name, made in images.items():
        fid, shares = _judge(made, digits, extractor)
        on_target = sum(shares[c] for c in wanted)
        table.add_row(name, f"{fid:.1f}", f"{on_target:.0%}", *(f"{shares[c]:.0%}" for c in wanted))
    picture = _draw(digits, images, run_folder / "mined.png")

    target = " / ".join(f"{share:.2f}" for share in wanted.values())
    console = Console()
    console.print(table)
    console.print(f"\ntarget mix of {' and '.join(map(str, wanted))}:   {target}")
    console.print(f"recovered by the selector: {' / '.join(f'{share:.2f}' for share in p)}")
    console.print(
        f"[dim]features: {extractor.name} ({extractor.sha256[:12]}); FID from "
        f"{len(digits.split('test'))} real images is biased: compare only inside this table[/dim]"
    )
    console.print(f"\npicture: {picture}\nreport:  {run_folder / 'report.html'}")


def _target(config: str) -> "Digits":
    import yaml

    from datamodules.datasets.digits import Digits

    return Digits(**yaml.safe_load(Path(config).read_text())["data"]["init_args"])


def _everyones_images(
    args: argparse.Namespace, run_folder: Path
) -> "tuple[dict[str, Tensor], list[float]]":
    """Return images (N_FAKE, C, H, W) by how they were made, and the selector's probabilities."""
    import torch

    from lit_synth.contracts.generator import as_generator
    from lit_synth.inference.loading import load_method
    from lit_synth.releases.format import load_release

    rng = torch.Generator().manual_seed(0)
    transfer = Path(args.runs_dir) / Path(args.transfer).stem
    images = {}
    for source in SOURCES:
        for name, folder in (
            (source, source),
            (f"TransferGAN from {source}", transfer / source / "release"),
        ):
            generator = as_generator(load_release(folder).network("generator"))
            images[name] = generator(torch.randn(N_FAKE, generator.latent_dim, generator=rng))
    images = dict(sorted(images.items(), key=lambda item: item[0].startswith("TransferGAN")))
    miner = cast("MineGAN", load_method(run_folder / "release"))
    images["MineGAN"] = miner.generate(miner.prior(N_FAKE, rng))
    return images, miner.selector.probabilities().tolist()


def _judge(images: "Tensor", digits: "Digits", extractor: "Extractor") -> tuple[float, list[float]]:
    """Return the FID to the test split, and the share of images read as each digit."""
    from lit_synth.features.base import extract
    from lit_synth.metrics.fid import fid

    real = extract(extractor, _all_images(digits, "test"))
    fake = extract(extractor, images)
    assert fake.logits is not None
    shares = fake.logits.argmax(dim=1).bincount(minlength=10) / len(images)
    return fid(real.features, fake.features), shares.tolist()


def _all_images(digits: "Digits", split: Literal["train", "test"]) -> "Tensor":
    images = digits.split(split)
    return images.fetch(range(len(images)))["image"]


def _draw(digits: "Digits", images: "dict[str, Tensor]", path: Path) -> Path:
    """Write one row of images for each way of making them, under a row of real ones."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    from torchvision.utils import make_grid

    rows = {"target (real)": _all_images(digits, "train"), **images}
    figure, axes = plt.subplots(len(rows), 1, figsize=(9, 1.15 * len(rows)))
    for axis, (name, made) in zip(axes, rows.items(), strict=True):
        stride = max(1, len(made) // 32)
        grid = make_grid(
            made[::stride][:32],
            nrow=16,
            padding=1,
            pad_value=1.0,
            normalize=True,
            value_range=(-1, 1),
        )
        axis.imshow(grid.permute(1, 2, 0), interpolation="nearest")
        axis.set_title(name, loc="left", fontsize=10)
        axis.set_axis_off()
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return path
