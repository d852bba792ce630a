"""`lit-synth import`: a public file of weights, as a release; nothing in it is executed."""

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb `import`."""
    parser = subparsers.add_parser(
        "import", help="bring in a public GAN or translator", description=__doc__
    )
    parser.add_argument("file", type=Path, help="file of weights, or folder of a BigGAN's files")
    parser.add_argument("--out", required=True, type=Path, help="release folder to write")
    parser.add_argument(
        "--license", default="not stated", help="of the weights; goes with all trained from them"
    )
    parser.add_argument("--key", help="where in the file, if it holds several such networks")
    parser.add_argument(
        "--clamp", type=float, help="StyleGAN2: bound of features (default: as the file says)"
    )
    parser.add_argument(
        "--mbstd_group",
        type=int,
        help="StyleGAN2: images that the discriminator compares (default: as the file says, or 4)",
    )
    parser.add_argument(
        "--class_names", type=Path, help="text file, a name a line in the order of the classes"
    )


def run(args: argparse.Namespace) -> int:
    """Read, write the release and its report, and say what it is."""
    from lit_synth.errors import InputError
    from lit_synth.releases.importers.layout import Options
    from lit_synth.releases.importers.recognise import import_networks
    from lit_synth.reports.imported import summary, write_release
    from lit_synth.runs.files import writing

    if args.out.exists() and (not args.out.is_dir() or any(args.out.iterdir())):
        raise InputError(f"{args.out} exists already: give another --out.")
    if "\n" in args.license or not args.license.strip():
        raise InputError("--license is empty or of several lines: give its name or address.")
    imported = import_networks(args.file, Options(args.key, args.clamp, args.mbstd_group))
    names = read_names(args.class_names, imported.networks) if args.class_names else []
    parent, file = args.out.absolute().parent, args.file.resolve().name
    with writing(args.out):
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=parent) as temporary:  # whole, or not at all
            folder = Path(temporary) / "release"
            write_release(imported, file, args.license.strip(), folder, names)
            folder.replace(args.out)
    print("\n".join(summary(imported, args.out)))
    return 0


def read_names(path: Path, networks: "dict[str, nn.Module]") -> list[str]:
    """Return the names of a generator's classes; InputError unless there are as many."""
    from lit_synth.errors import InputError

    classes = int(getattr(networks.get("generator"), "num_classes", 0))
    try:
        names = [line.strip() for line in path.read_text().splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text: give a file with a name a line.") from error
    if len(names) != classes or len(set(names)) != len(names):
        raise InputError(
            f"{path} has {len(names)} names, {len(set(names))} of them different, and the "
            f"generator {classes} classes: give one name a line, in their order."
        )
    return names
