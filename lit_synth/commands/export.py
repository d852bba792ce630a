"""`lit-synth export`: a release in a public layout or half precision, or as a program."""

import argparse
import json
from pathlib import Path

PROGRAMS = ("onnx", "torch-export")
HALF = "half"
LAYOUTS = ("stylegan2-ada", "rosinality", "biggan", "pgan", "dcgan", "cyclegan", "pix2pix", "munit")


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb `export`."""
    parser = subparsers.add_parser(
        "export", help="write a release for other programs", description=__doc__
    )
    parser.add_argument("release", help="release folder, or name of a bundled release")
    parser.add_argument("--layout", required=True, choices=(*LAYOUTS, *PROGRAMS, HALF))
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        help="file to write, safetensors if it ends so, else torch.save's; a folder for BigGAN and "
        "half",
    )


def run(args: argparse.Namespace) -> int:
    """Write the file and, of a program, a report of how far it differs from the release."""
    from lit_synth.errors import InputError
    from lit_synth.releases.exporters.halved import export_half
    from lit_synth.releases.exporters.programs import CHECKED, export_program
    from lit_synth.releases.exporters.public import export_tensors
    from lit_synth.releases.format import load_release
    from lit_synth.runs.files import writing

    if args.out.exists():
        raise InputError(f"{args.out} exists already: give another --out.")
    with writing(args.out):
        if args.layout == HALF:
            written = export_half(args.release, args.out)
            print(f"{args.out}: a release with {written} tensors in half precision.")
            return 0
        if args.layout in LAYOUTS:
            written = export_tensors(args.release, args.layout, args.out)
            print(f"{args.out}: {written} tensors in the layout {args.layout}.")
            return 0
        release = load_release(args.release)
        network = release.network("generator")
        difference = export_program(network, args.out, onnx=args.layout == "onnx")
        report = args.out.with_name(f"{args.out.name}.json")
        facts = {
            "release_sha256": release.sha256,
            "inputs_checked": CHECKED,
            "largest_difference": difference,
            "licence": release.extra.get("imported", {}).get("licence", "see the release's card"),
        }
        report.write_text(json.dumps(facts, indent=1))
    print(f"{args.out}: differs from the release by {difference:.2g} at most ({CHECKED} inputs).")
    print(f"Report: {report}")
    return 0
