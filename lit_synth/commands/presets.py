"""`lit-synth presets`: gamma, batch, rates and half-life for a size and a number of images."""

import argparse


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb `presets`."""
    parser = subparsers.add_parser(
        "presets", help="compute settings of a StyleGAN2", description=__doc__
    )
    parser.add_argument(
        "--image_size", type=int, required=True, help="side of the images in pixels"
    )
    parser.add_argument("--images", type=int, required=True, help="number of training images")
    parser.add_argument("--batch_size", type=int, help="images in a batch (default: computed)")
    parser.add_argument(
        "--source", action="store_true", help="do the networks start from a source (TransferGAN)?"
    )


def run(args: argparse.Namespace) -> int:
    """Print the settings as YAML, each with where it comes from."""
    from lit_synth.training.presets import as_yaml, preset

    found = preset(args.image_size, args.images, args.source, args.batch_size)
    size, batch = args.image_size, found.batch_size
    start = "from a source" if args.source else "from scratch"
    print(
        f"# StyleGAN2, {args.images:,} images of {size} x {size} pixels, {start}.\n"
        f"# gamma = 0.0002 x {size}^2 / {batch} = {found.gamma:.4g}: ten times less to ten times "
        "more is worth a try;\n"
        "#   samples that lack detail want less, a critic that is too sure (r_t near 1) more.\n"
        f"# half-life = 10 / 32 x {batch} = {found.half_life_kimg:g} kimg; every image is seen "
        f"once in {found.epoch:,} iterations.\n"
        "# The rules are those of published code for thousands of images; see docs/few-images.md."
    )
    print(as_yaml(found, args.images, args.source), end="")
    return 0
