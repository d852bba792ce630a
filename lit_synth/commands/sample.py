"""`lit-synth sample`: images of a release's generator, as PNG files."""

import argparse
from pathlib import Path


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb `sample`."""
    parser = subparsers.add_parser(
        "sample", help="draw images from a generator", description=__doc__
    )
    parser.add_argument("release", help="release folder, or name of a bundled release")
    parser.add_argument("--out", required=True, type=Path, help="folder to write the images to")
    parser.add_argument("--n", type=int, default=64, help="images (default: 64)")
    parser.add_argument("--seed", type=int, default=0, help="of latents and classes (default: 0)")
    parser.add_argument(
        "--truncation",
        type=float,
        default=1.0,
        help="below 1: less variety, better looks; 0 is the mean image (default: 1)",
    )
    parser.add_argument(
        "--classes",
        default="",
        help="numbers or names of classes joined by commas (default: all, evenly)",
    )
    parser.add_argument("--batch_size", type=int, default=16, help="images at once (default: 16)")


def run(args: argparse.Namespace) -> int:
    """Draw and write; images do not depend on the batch size."""
    from lit_synth.errors import InputError

    if args.n < 1 or args.batch_size < 1:
        raise InputError(f"--n is {args.n}, --batch_size {args.batch_size}: give 1 or more.")
    if args.out.is_dir() and any(args.out.iterdir()):
        raise InputError(f"{args.out} is not empty: give another --out.")
    write_samples(
        args.release, args.out, args.n, args.seed, args.truncation, args.classes, args.batch_size
    )
    print(f"{args.out}: {args.n} images of {args.release}, truncation {args.truncation:g}.")
    return 0


def write_samples(
    release_name: str,
    out: Path,
    n: int,
    seed: int = 0,
    truncation: float = 1.0,
    classes: str = "",
    batch_size: int = 16,
) -> None:
    """Draw `n` images of a release's generator, and write them to a folder as PNG files."""
    import torch

    from lit_synth.pictures.grid import png
    from lit_synth.releases.format import load_release
    from lit_synth.releases.sampling import sample
    from lit_synth.runs.files import writing
    from lit_synth.tensors.pixels import as_uint8

    release = load_release(release_name)
    generator = release.network("generator")
    numbers = numbers_of(classes, release.extra.get("class_names", []))
    generator.to("cuda" if torch.cuda.is_available() else "cpu")
    written = 0
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        for images in sample(generator, n, seed, batch_size, truncation, numbers):
            for pixels in as_uint8(images.cpu()):
                (out / f"{written:06d}.png").write_bytes(png(pixels))
                written += 1


def numbers_of(given: str, names: list[str]) -> list[int]:
    """Return the numbers of classes that are given by number, or by name where names are known."""
    from lit_synth.errors import InputError, did_you_mean

    words = [word.strip() for word in given.split(",") if word.strip()]
    for word in words:
        if not word.isdecimal() and word not in names:
            hint = did_you_mean(word, names) or ": expected numbers joined by commas, as 3,17"
            raise InputError(f"there is no class '{word}'{hint}{'' if hint[-1] == '?' else '.'}")
    return [names.index(word) if word in names else int(word) for word in words]
