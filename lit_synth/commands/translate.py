"""`lit-synth translate`: a folder of photos, translated by an imported CycleGAN or pix2pix."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from lit_synth.networks.resnet_translator import ResNetTranslator
    from lit_synth.networks.unet import UNet

AT_ONCE = 8  # photos
PUBLISHED = 256  # side in pixels of CycleGAN's images
HALVED = 4  # a ResNet halves its images twice, ...
SMALLEST = 8  # ... and pads what is left of them reflected


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb `translate`."""
    parser = subparsers.add_parser(
        "translate", help="translate photos by an imported translator", description=__doc__
    )
    parser.add_argument("release", help="release folder of a CycleGAN's or a pix2pix's generator")
    parser.add_argument("--input", required=True, type=Path, help="folder of photos")
    parser.add_argument("--out", required=True, type=Path, help="folder to write the images to")
    parser.add_argument(
        "--image_size",
        type=int,
        help=f"side in pixels of what is translated (default: pix2pix's own, or {PUBLISHED})",
    )
    parser.add_argument(
        "--resize",
        choices=("crop", "stretch"),
        default="crop",
        help="how photos become square: by their central square, or whole (default: crop)",
    )


def run(args: argparse.Namespace) -> int:
    """Read all photos, translate them, and write the results under their names."""
    import torch

    from datamodules.items.modalities import Modality
    from datamodules.unpaired import read_folder
    from lit_synth.errors import InputError
    from lit_synth.pictures.grid import png
    from lit_synth.releases.format import load_release
    from lit_synth.runs.files import writing
    from lit_synth.tensors.pixels import as_uint8

    if args.out.is_dir() and any(args.out.iterdir()):
        raise InputError(f"{args.out} is not empty: give another --out.")
    translator = translator_of(load_release(args.release).networks, args.release)
    channels, size = taken(translator, args.image_size)
    photos = read_folder(args.input, {"photo": Modality("image", channels)}, size, args.resize)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    translator.to(device)
    with writing(args.out), torch.no_grad():
        for start in range(0, len(photos), AT_ONCE):
            positions = range(start, min(start + AT_ONCE, len(photos)))
            made = translator(photos.fetch(positions)["photo"].to(device))
            for position, pixels in zip(positions, as_uint8(made.cpu()), strict=True):
                file = args.out / f"{photos.ids[position]}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(png(pixels))
    print(f"{args.out}: {len(photos)} photos translated by {args.release} at {size} px.")
    return 0


def translator_of(networks: "dict[str, nn.Module]", name: str) -> "ResNetTranslator | UNet":
    """Return a release's one network from images to images; InputError if it is none."""
    from lit_synth.errors import InputError
    from lit_synth.networks.resnet_translator import ResNetTranslator
    from lit_synth.networks.unet import UNet

    network = networks.get("generator")
    if not isinstance(network, ResNetTranslator | UNet):
        kinds = ", ".join(type(each).__name__ for each in networks.values())
        raise InputError(
            f"{name} holds {kinds}, no generator of CycleGAN or pix2pix: draw from a GAN with "
            "`lit-synth sample`, translate by a run of this tool with `lit-synth predict`."
        )
    return network


def taken(translator: "ResNetTranslator | UNet", image_size: int | None) -> tuple[int, int]:
    """Return the channels and the side in pixels of the photos that a translator takes.

    Raises:
        InputError: Photos and PNG files have no such channels, or it takes no images of that size.
    """
    from lit_synth.errors import InputError

    args = vars(translator)["init_args"]
    channels, made = args["in_channels"], args["out_channels"]
    if not {channels, made} <= {1, 3}:
        raise InputError(
            f"this translator takes images of {channels} channels and makes some of {made}, but "
            "photos and PNG files have 3, or 1 where they are grey: use it from Python."
        )
    own = args.get("image_size")
    size = image_size if image_size is not None else own or PUBLISHED
    if own is not None and size != own:
        raise InputError(
            f"--image_size is {size}, but this translator takes {own} px alone: leave it out."
        )
    if size % HALVED or size < SMALLEST:
        raise InputError(
            f"--image_size is {size}, but this translator takes multiples of {HALVED} from "
            f"{SMALLEST} px on: give {max(round(size / HALVED), 2) * HALVED}."
        )
    return channels, size
