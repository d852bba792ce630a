"""`lit-synth study`: list, run, judge and report the studies behind every claim."""

import argparse
import os
from pathlib import Path

from lit_synth.errors import InputError

ACCELERATORS = {"default": "cpu", "smoke": "cpu", "gpu": "gpu"}


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb `study` and its actions."""
    parser = subparsers.add_parser(
        "study", help="list, run, judge or report studies", description=__doc__
    )
    parser.add_argument("action", choices=["list", "run", "judge", "report"])
    parser.add_argument(
        "ids", nargs="*", metavar="ID", help="run: which studies; judge: again (default: all)"
    )
    parser.add_argument("--all", action="store_true", help="run: every study")
    parser.add_argument("--seeds", nargs="+", type=int, help="run: instead of the study's own")
    parser.add_argument(
        "--jobs", type=int, help="run: at a time; 0: in this process (default: one for each core)"
    )
    parser.add_argument(
        "--scale", choices=list(ACCELERATORS), default="default", help="run: budget"
    )
    parser.add_argument("--fresh", action="store_true", help="run: again, whatever is there")
    parser.add_argument(
        "--allow-dirty", action="store_true", help="run: from changed files, told in the result"
    )
    parser.add_argument("--studies", type=Path, default=Path("configs/studies"), help="the plans")
    parser.add_argument("--runs_dir", type=Path, default=Path("runs/studies"), help="all runs")
    parser.add_argument("--results", type=Path, default=Path("docs/results"), help="JSON, pictures")
    parser.add_argument(
        "--report", type=Path, default=Path("docs/RESULTS.md"), help="what report writes"
    )


def run(args: argparse.Namespace) -> int:
    """Do what was asked; return 1 if a run has failed, else 0."""
    if not args.studies.is_dir():
        raise InputError(f"no folder {args.studies}: run this in the project's folder.")
    if args.action == "list":
        return _list(args)
    if args.action == "report":
        return _report(args)
    if args.action == "judge":
        return _judge(args)
    return max([_run(args, id_) for id_ in _chosen(args)])


def _known(args: argparse.Namespace) -> list[str]:
    return sorted(path.stem for path in args.studies.glob("*.yaml"))


def _chosen(args: argparse.Namespace) -> list[str]:
    known = _known(args)
    ids = known if args.all else args.ids
    unknown = [id_ for id_ in ids if id_ not in known]
    if unknown or not ids:
        named = f"no study '{unknown[0]}'" if unknown else "no study was named"
        raise InputError(f"{named}: give one or more of {', '.join(known)}, or --all.")
    return ids


def _list(args: argparse.Namespace) -> int:
    from lit_synth.studies.listing import standing
    from lit_synth.studies.plan import load_plan

    for id_ in _known(args):
        plan = load_plan(args.studies / f"{id_}.yaml", args.scale)
        result, accelerator = args.results / f"{id_}.json", ACCELERATORS[args.scale]
        print(f"{id_}: {plan.claim}\n    {standing(plan, result, args.runs_dir, accelerator)}")
    return 0


def _run(args: argparse.Namespace, id_: str) -> int:
    from lit_synth.studies import results
    from lit_synth.studies.equal import facts_of_arms, refuse_unequal
    from lit_synth.studies.jobs import Jobs
    from lit_synth.studies.plan import check_seeds, load_plan
    from lit_synth.studies.provenance import refuse_dirty, revision
    from lit_synth.studies.run import run_jobs
    from lit_synth.studies.samples import draw_samples

    plan = load_plan(args.studies / f"{id_}.yaml", args.scale)
    seeds = args.seeds or plan.seeds
    check_seeds(plan, seeds)
    jobs = Jobs(plan, seeds, args.runs_dir, ACCELERATORS[args.scale])
    if args.scale != "smoke":  # which decides nothing
        refuse_unequal(plan, facts_of_arms(jobs))
        if not args.allow_dirty:
            refuse_dirty(revision())
    path = args.results / f"{id_}.json"
    earlier = results.read(path)
    workers = len(os.sched_getaffinity(0)) if args.jobs is None else args.jobs
    outcome = results.collect(jobs, run_jobs(jobs, workers, args.fresh), earlier)
    results.write(path, outcome)
    draw_samples(jobs, args.results / f"{id_}-samples.png")
    _tell(outcome)
    print(f"written: {path}; `lit-synth study report` puts it in {args.report}")
    return 1 if outcome["failures"] else 0


def _judge(args: argparse.Namespace) -> int:
    from lit_synth.studies import results
    from lit_synth.studies.plan import load_plan

    there = sorted(path.stem for path in args.results.glob("*.json"))
    for id_ in args.ids or there:
        path = args.results / f"{id_}.json"
        published = results.read(path)
        if published is None:
            listed = ", ".join(there) or "none"
            raise InputError(f"no result {path}: give one or more of {listed}.")
        plan = load_plan(args.studies / f"{id_}.yaml", published["scale"])
        outcome = results.rejudge(plan, published)
        results.write(path, outcome)
        print(f"{id_}: {outcome['verdict']}" + "".join(f"\n    {s}" for s in outcome["because"]))
    return 0


def _tell(outcome: "dict[str, object]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{outcome['id']}: {outcome['verdict']}", caption=str(outcome["claim"]))
    for column in ("role", "expectation", "metric", "effect", "95 %", "p", "verdict"):
        table.add_column(column)
    tests, because = outcome["tests"], outcome["because"]
    assert isinstance(tests, list)
    assert isinstance(because, list)
    for test in tests:
        p = test["p"] if test["p_holm"] is None else test["p_holm"]
        table.add_row(
            *(test["role"], test["expects"], test["metric"]),
            "" if test["effect"] is None else f"{test['effect']:.3g}",
            " to ".join(f"{end:.3g}" for end in test["interval"] or []),
            "" if p is None else f"{p:.3f}",
            test["verdict"],
        )
    console = Console()
    console.print(table)
    for sentence in because:
        console.print(f"- {sentence}", markup=False)


def _report(args: argparse.Namespace) -> int:
    from lit_synth.studies.report import write_report

    ids = write_report(args.studies, args.results, args.report)
    print(f"{args.report}: {', '.join(ids) or 'no results yet; run a study first'}")
    return 0
