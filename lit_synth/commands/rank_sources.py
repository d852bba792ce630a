"""`lit-synth rank-sources`: which pretrained GANs suit a target, before any training."""

import argparse
from pathlib import Path

WORTH = (
    "This ranking is a first guess: it compares what sources draw, not how they transfer. In the "
    "thesis it puts Places too high and Bedrooms too low (table 2.5 against table 2.4). Sources "
    "closer than two standard errors are tied: train from each briefly and compare."
)

COST = (
    "MineGAN and TransferGAN need a fresh one for them (`critic:`), which knows nothing at first: "
    "that costs iterations and, where the target has few images, quality."
)


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb `rank-sources`."""
    parser = subparsers.add_parser(
        "rank-sources", help="rank pretrained GANs for a target", description=__doc__
    )
    parser.add_argument("sources", nargs="+", help="release folders, or names of bundled releases")
    parser.add_argument("--target", required=True, help="folder or zip of the target's real images")
    parser.add_argument(
        "--extractor", default="auto", help="as in `lit-synth evaluate` (default: auto)"
    )
    parser.add_argument("--resize", type=int, help="side in pixels (default: the target's own)")
    parser.add_argument("--n", type=int, default=2048, help="images per source (default: 2048)")
    parser.add_argument("--seed", type=int, default=0, help="of the latents (default: 0)")
    parser.add_argument("--out", type=Path, help="write a JSON report")


def run(args: argparse.Namespace) -> int:
    """Rank, print and, with `--out`, write."""
    import torch
    from rich.console import Console
    from rich.table import Table

    from lit_synth.commands.evaluate import read_images, resize_rule, side_of_first
    from lit_synth.errors import InputError
    from lit_synth.features.base import extract
    from lit_synth.features.choice import load_extractor
    from lit_synth.metrics.card import Card, write_card
    from lit_synth.metrics.ranking import rank_sources
    from lit_synth.releases.format import load_release

    if args.n < 2:
        raise InputError(f"--n is {args.n}; give 2 or more images per source.")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    releases = {str(name): load_release(name) for name in args.sources}
    sources = {name: each.network("generator").to(device) for name, each in releases.items()}
    alone = [name for name, each in releases.items() if "critic" not in each.networks]
    size = args.resize or side_of_first(args.target)
    target, data_sha256 = read_images(args.target, size, None, args.seed)
    extractor = load_extractor(args.extractor).to(device)
    extractor.refuse_seen(target)
    card = Card.of(
        extractor,
        n_real=len(target),
        n_fake=args.n,
        split=str(args.target),
        seed=args.seed,
        data_sha256=data_sha256,
        note=f"Target read at {size} pixels: {resize_rule()}.",
    )
    ranked = rank_sources(
        extract(extractor, target).features, sources, extractor, args.n, args.seed
    )

    table = Table("rank", "source", "FID to target", "± s.e.")
    for place, source in enumerate(ranked, 1):
        table.add_row(
            str(place), source.source, f"{source.fid:.4g}", f"{source.standard_error:.2g}"
        )
    console = Console()
    console.print(table)
    for line in card.lines():
        console.print(line, style="dim", markup=False, highlight=False)
    console.print(f"Caution: {WORTH}", style="yellow", highlight=False)
    if alone:
        console.print(f"Without a critic: {', '.join(alone)}. {COST}", style="yellow", markup=False)
    if args.out:
        write_card(args.out, card, {source.source: source.fid for source in ranked})
        console.print(f"Report: {args.out}")
    return 0
