"""`lit-synth evaluate`: compare generated images, or a release's, with a folder of real ones."""

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lit_synth.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from lit_synth.features.base import Features
    from lit_synth.metrics.card import Card

FEW_FOR_FID = 2048  # below the 2048 dimensions of Inception's features, covariances are singular
PAIRS = 16
DRAWN_PX = 64  # smaller images are enlarged to about this side
MEANING = {
    "fid": "lower is better; biased upwards for few images",
    "kid": "lower is better; near 0, either sign, is perfect",
    "mind": "lower is better; biased upwards for few images",
    "kmmd": "lower is better",
    "mv": "1 is as diverse as real images (our definition)",
    "mv_distance": "lower is better: how far MV is from 1",
    "precision": "share of fakes that look real; blur has more",
    "recall": "share of reals that could be generated; noise has more",
    "f_score": "higher is better: harmonic mean of precision and recall",
    "density": "1 is as real images: like precision, robust; blur has more",
    "coverage": "share of reals with a fake nearby",
    "on_manifold": "share of fakes near some real image, trained on or not",
    "memorised": "share of these nearer to a training than to a real image; see its floor",
    "memorised_floor": "the same of real images",
    "memorised_excess": "lower is better: 0 is none, 1 copies, or nothing looks real",
    "memorisation_ratio": "1 is none, near 0 copies the training images",
    "memorisation_share": "0.5 is none; share of fakes nearer to training than to real images",
    "nearest_ratio": "1 is none, near 0 copies the real images",
}


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb `evaluate`."""
    parser = subparsers.add_parser(
        "evaluate", help="compare two folders of images", description=__doc__
    )
    parser.add_argument("real", help="folder or zip of real images, best unseen by the generator")
    parser.add_argument(
        "fake",
        help="folder or zip of generated images; or a release, of which --n images are drawn "
        "(default: as many as there are real ones)",
    )
    parser.add_argument(
        "--extractor",
        default="auto",
        help="auto (Inception if its weights are on this machine, else random features), "
        "inception, random, Inception weights (.pth), or a classifier's release (default: auto)",
    )
    parser.add_argument("--resize", type=int, help="side in pixels (default: that of the fakes)")
    parser.add_argument(
        "--n", type=int, help="use this many images of each folder, drawn at random"
    )
    parser.add_argument("--train", help="folder of the generator's training images: memorisation")
    parser.add_argument("--seed", type=int, default=0, help="of every random draw (default: 0)")
    parser.add_argument("--out", type=Path, help="write a JSON report, and the nearest-pairs PNG")


def run(args: argparse.Namespace) -> int:
    """Measure, print and, with `--out`, write."""
    from datamodules.files.archives import open_source
    from lit_synth.commands.sample import write_samples

    if not is_release(args.fake):
        return measure_folders(args, args.fake)
    n = len(open_source(Path(args.real)).names) if args.n is None else args.n
    with tempfile.TemporaryDirectory() as folder:
        write_samples(args.fake, Path(folder), n, args.seed)
        return measure_folders(args, folder)


def is_release(name: str) -> bool:
    """Is it a release folder, or the name of a bundled release?"""
    from lit_synth.releases.format import find_release

    try:
        find_release(name)
    except InputError:
        return False
    return True


def measure_folders(args: argparse.Namespace, fakes: str) -> int:
    """Measure the images of a folder, print and, with `--out`, write."""
    import torch

    from lit_synth.features.base import extract
    from lit_synth.features.choice import load_extractor
    from lit_synth.metrics.card import Card, write_card
    from lit_synth.metrics.suite import measure

    size = args.resize or side_of_first(fakes)
    real, data_sha256 = read_images(args.real, size, args.n, args.seed)
    fake, _ = read_images(fakes, size, args.n, args.seed)
    train = read_images(args.train, size, None, args.seed)[0] if args.train else None

    extractor = load_extractor(args.extractor)
    extractor.to("cuda" if torch.cuda.is_available() else "cpu")
    extractor.refuse_seen(real)
    card = Card.of(
        extractor,
        n_real=len(real),
        n_fake=len(fake),
        split=str(args.real),
        seed=args.seed,
        data_sha256=data_sha256,
        note=f"Folders read at {size} pixels: {resize_rule()}.",
    )
    of_real, of_fake = extract(extractor, real), extract(extractor, fake)
    of_train = None if train is None else extract(extractor, train)
    values, errors, nearest = compare(of_real, of_fake, of_train, args.seed)
    values |= measure(of_real, of_fake, extractor.metrics)
    show(values, errors, card, warnings(len(real), len(fake)))
    if args.out:
        write_card(args.out, card, values | {f"{name}_se": e for name, e in errors.items()})
        grid = args.out.with_suffix(".nearest.png")
        draw_pairs(fake, real if train is None else train, *nearest, grid)
        print(f"Report: {args.out}\nFakes nearest to the images they could have copied: {grid}")
    return 0


def compare(
    real: "Features", fake: "Features", train: "Features | None", seed: int
) -> "tuple[dict[str, float], dict[str, float], tuple[Tensor, Tensor]]":
    """Measure all that folders allow.

    Args:
        real: Features of real images.
        fake: Features of generated images.
        train: Features of the generator's training images; None takes `real` for them.
        seed: Seed of every subsample.

    Returns:
        Values, standard errors of some of them, and for each fake the distance to its nearest
        training image and that one's index.
    """
    from lit_synth.metrics.distances import nearest
    from lit_synth.metrics.kid import kid
    from lit_synth.metrics.memorisation import nearest_ratio
    from lit_synth.metrics.standard_error import standard_error
    from lit_synth.metrics.suite import measure

    values = measure(real, fake, seed=seed)
    if train is None:
        values["nearest_ratio"] = nearest_ratio(real.features, fake.features)
    else:
        values |= measure(real, fake, ["memorisation"], train=train, seed=seed)
    errors = {}
    if min(len(real.features), len(fake.features)) >= 4:
        errors["kid"] = standard_error(
            lambda a, b: kid(a, b, subsets=1).value, real.features, fake.features, seed=seed
        )
    return values, errors, nearest(fake.features, (train or real).features)


def warnings(n_real: int, n_fake: int) -> list[str]:
    """What the sample sizes forbid to conclude."""
    found = []
    if min(n_real, n_fake) < FEW_FOR_FID:
        found.append(
            f"FID of {n_real} real and {n_fake} fake images is biased upwards: compare it "
            "only with FIDs of the same counts, and read KID with its standard error below "
            f"{FEW_FOR_FID}."
        )
    if n_real != n_fake:
        found.append(
            f"The sides differ in size ({n_real} and {n_fake}), which recall, density and coverage "
            "depend on: use --n for equal ones."
        )
    return found


def show(
    values: dict[str, float], errors: dict[str, float], card: "Card", cautions: list[str]
) -> None:
    """Print the table, its card under it, and what to beware of."""
    from rich.console import Console
    from rich.table import Table

    table = Table("metric", "value", "± s.e.", "meaning")
    for name, meaning in MEANING.items():
        if name in values:
            error = f"{errors[name]:.2g}" if name in errors else ""
            table.add_row(name, f"{values[name]:.4g}", error, meaning)
    console = Console()
    console.print(table)
    for line in [*card.lines(), f"KMMD bandwidth: {values['kmmd_bandwidth']:.4g}"]:
        console.print(line, style="dim", markup=False, highlight=False)
    for caution in cautions:
        console.print(f"Caution: {caution}", style="yellow", markup=False, highlight=False)


def draw_pairs(
    fake: "Tensor", train: "Tensor", distance: "Tensor", index: "Tensor", path: Path
) -> None:
    """Write the fakes nearest to training images (upper rows), over those images (lower rows)."""
    import torch
    from torchvision.utils import save_image

    first = distance.argsort()[:PAIRS]
    rows = torch.split(torch.stack([fake[first], train[index[first]]]), 8, dim=1)
    pairs = torch.cat([row.flatten(0, 1) for row in rows])
    zoom = max(1, DRAWN_PX // pairs.shape[-1])
    pairs = pairs.repeat_interleave(zoom, 2).repeat_interleave(zoom, 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_image(pairs, path, nrow=min(8, len(first)), normalize=True, value_range=(-1, 1))


def side_of_first(folder: str) -> int:
    """Shorter side in pixels of the first image of a folder or zip."""
    from datamodules.files.archives import open_source
    from datamodules.files.decoding import UnreadableError, open_image

    source = open_source(Path(folder))
    try:
        return min(open_image(source.read(source.names[0])).size)
    except UnreadableError as error:
        raise InputError(
            f"{folder}: {source.names[0]} {error}; remove it, or give another folder."
        ) from error


def read_images(folder: str, size: int, n: int | None, seed: int) -> "tuple[Tensor, str]":
    """Read a folder or zip of images, all of them or `n` drawn at random.

    Returns:
        Images (N, 3, size, size) in [-1, 1], and the hash of their content.
    """
    import torch

    from datamodules.unconditional import Unconditional
    from lit_synth.tensors.hashing import content_hash

    split = Unconditional(
        folder, size, labels="none", val_fraction=0, test_fraction=0, on_mismatch="convert"
    ).split("train")
    if n is not None and not 2 <= n <= len(split):
        raise InputError(
            f"--n asks for {n} images of '{folder}', which has {len(split)}; "
            "give a number from 2 to that."
        )
    rows = torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))[:n]
    images = split.images(rows.sort().values)
    return images, content_hash(images)


def resize_rule() -> str:
    """How images of other sizes are brought to the common one."""
    from datamodules.files.decoding import RESIZE_RULES

    return RESIZE_RULES["crop"]
