"""`lit-synth check`: what a folder of data is, what is wrong with it, and the command for it."""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from datamodules.inspection.looks import Look
    from datamodules.inspection.report import Report

_LISTED = 5  # problems of a kind, before they are only counted
_NAMES = 3  # of files that are one picture
_PARTS = 12  # rows of the table
_SLOW = 500  # files, from which progress is shown


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb `check`."""
    parser = subparsers.add_parser("check", help="what a folder of data is", description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of any layout, or zip archive of images")
    parser.add_argument(
        "--sheet", type=Path, metavar="FILE", help="write a PNG of examples (default: none)"
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(args: argparse.Namespace) -> int:
    """Look, print and, with `--sheet`, draw."""
    from rich.console import Console

    from datamodules.inspection.report import inspect
    from datamodules.inspection.sheet import draw_sheet
    from lit_synth.commands.check.first_run import command

    report = inspect(args.folder, _progress)
    line = command(report)
    if args.sheet:
        draw_sheet(report, args.sheet)
    if args.json:
        sheet = str(args.sheet) if args.sheet else None
        print(json.dumps({**report.as_json(), "command": line, "sheet": sheet}, indent=2))
        return 0
    console = Console()
    _print(report, console)
    if args.sheet:
        console.print(f"Examples: {args.sheet}", markup=False, highlight=False)
    console.print("\n[bold]Train on it:")
    print(line)  # whole, so that it can be copied
    return 0


def _progress(looks: "Iterator[Look]", total: int) -> "Iterator[Look]":
    """Show how many files were looked at, on stderr, where that takes a while."""
    from rich.console import Console
    from rich.progress import track

    if total < _SLOW:
        return looks
    console = Console(stderr=True)
    return iter(track(looks, "Looking", total=total, console=console, transient=True))


def _print(report: "Report", console: "Console") -> None:
    from rich.table import Table

    from datamodules.inspection.report import summary

    _say(console, f"{report.folder.root}: {report.reading.what}", "bold")
    table = Table("part", "files", "unreadable", "width x height", "kinds", box=None)
    for row in map(summary, report.reading.parts[:_PARTS]):
        kinds = ", ".join(f"{n} {name}" for name, n in row["pixels"].items())
        table.add_row(
            row["part"] or "all",
            str(row["files"]),
            str(row["unreadable"] or ""),
            _sizes(row),
            kinds,
        )
    console.print(table)
    if len(report.reading.parts) > _PARTS:
        _say(console, f"  and {len(report.reading.parts) - _PARTS} parts more")
    _list(console, "Mend first, a run would refuse it", report.mend, "red")
    for title, groups, style in (
        ("In two parts that should share nothing", report.leaks, "red"),
        ("Copies, byte by byte", report.exact, "yellow"),
        ("Alike but for size or compression", report.near, "yellow"),
    ):
        _list(console, title, [_group(group) for group in groups], style)
    _list(console, "Nearly one colour", report.flat, "yellow")
    _list(console, "Skipped, no images", report.skipped, "dim")
    _list(console, "Good to know", [*report.notes, _memory(report)], "")


def _sizes(row: dict[str, Any]) -> str:
    if not row["smallest"]:
        return ""
    smallest, largest = ("x".join(map(str, row[key])) for key in ("smallest", "largest"))
    return smallest if smallest == largest else f"{smallest} to {largest}"


def _group(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return " = ".join(names[:_NAMES]) + more


def _memory(report: "Report") -> str:
    """Say what fits into memory, and what that asks for."""
    from datamodules.inspection.report import MIB

    size = f"{max(report.decoded / MIB, 0.1):,.1f} MiB"
    rule = f"at {report.image_size} pixels the largest set takes {size}"
    if "num_workers" in report.options:
        return (
            f"{rule}, decoded, more than the 1 GiB that is kept: files are read whenever they "
            f"are needed, by {report.options['num_workers']} workers"
        )
    return f"{rule} decoded: it is kept in memory, where num_workers 0 is fastest"


def _list(console: "Console", title: str, lines: Sequence[str], style: str) -> None:
    if not lines:
        return
    counted = f" ({len(lines)})" if len(lines) > 1 and style else ""
    _say(console, f"{title}{counted}:", style)
    shown = lines if not style else lines[:_LISTED]
    for line in shown:
        _say(console, f"  {line}", style)
    if len(lines) > len(shown):
        _say(console, f"  and {len(lines) - len(shown)} more: --json lists all", style)


def _say(console: "Console", text: str, style: str = "") -> None:
    console.print(text, style=style or None, markup=False, highlight=False)
