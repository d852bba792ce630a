"""`lit-synth doctor`: what this machine has, what is broken, and what will be slow."""

import argparse
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from packaging.requirements import Requirement
from rich.console import Console
from rich.table import Table
from torch import Tensor

from lit_synth.errors import InputError
from lit_synth.features.inception import cached_weights
from lit_synth.releases.format import ASSETS, bundled, load_release
from lit_synth.runs.user_cache import CACHE, cache_folder

GIB = 2**30
CPU_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "bf16")  # the last is Arm's
INCEPTION_GFLOP = 11.4  # forward pass of one 299x299 image
State = Literal["ok", "slow", "broken"]


@dataclass(frozen=True)
class Finding:
    """One sentence about the machine.

    Attributes:
        topic: What it is about.
        text: The sentence; if something is broken, it also says what to do.
        state: `ok`, `slow` (works, and costs time) or `broken`.
    """

    topic: str
    text: str
    state: State = "ok"


@dataclass(frozen=True)
class Speed:
    """GFLOP/s of a small convolution, forward and backward.

    Attributes:
        float32: In float32.
        bfloat16: Under bfloat16 autocast, in channels-last order.
    """

    float32: float
    bfloat16: float


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `doctor` and its options."""
    parser = subparsers.add_parser("doctor", help="say what works here and what will be slow")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--runs_dir", default="runs", help="parent of the run folders")


def run(args: argparse.Namespace) -> int:
    """Print the findings; return 1 if something is broken, else 0."""
    findings = list(examine(Path(args.runs_dir)))
    broken = [finding for finding in findings if finding.state == "broken"]
    if args.json:
        print(json.dumps({"ok": not broken, "findings": [asdict(f) for f in findings]}, indent=2))
    else:
        show(findings, Console())
    return 1 if broken else 0


def show(findings: list[Finding], console: Console) -> None:
    """Print a table of the findings, then what is slow and what is broken."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    colours = {"ok": "", "slow": "[yellow]", "broken": "[red]"}
    for finding in findings:
        table.add_row(finding.topic, f"{colours[finding.state]}{finding.text}")
    console.print(table)
    counts = {state: sum(f.state == state for f in findings) for state in ("slow", "broken")}
    if counts["broken"]:
        console.print(f"\n[red]{counts['broken']} broken: see the red lines.")
    elif counts["slow"]:
        console.print(f"\nEverything works; {counts['slow']} things cost time: the yellow lines.")
    else:
        console.print("\nEverything works.")


def examine(runs_dir: Path) -> Iterator[Finding]:
    """Look at the machine, topic by topic; takes about two seconds."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    speed = measure_speed(device)
    yield _system()
    yield from _processor()
    yield _memory()
    yield from _gpus()
    yield from _libraries()
    yield _precision(device, speed)
    yield _distributed()
    yield from _loading()
    yield _disk(runs_dir)
    yield _cache()
    yield _wandb()
    yield _inception(speed)
    yield from _assets(ASSETS)
    yield _slurm()


def _system() -> Finding:
    return Finding("system", f"Python {platform.python_version()} on {platform.platform()}")


def _processor() -> Iterator[Finding]:
    info = Path("/proc/cpuinfo")
    fields = dict(_cpu_fields(info.read_text())) if info.is_file() else {}
    model = fields.get("model name") or platform.processor() or platform.machine()
    flags = {*fields.get("flags", "").split(), *fields.get("Features", "").split()}
    known = [flag for flag in CPU_FLAGS if flag in flags] or ["none of the fast ones known"]
    cores = available_cores()
    yield Finding("processor", f"{model}, {cores} cores; {', '.join(known)}")
    threads = torch.get_num_threads()
    if threads > cores:
        advice = f"set OMP_NUM_THREADS={cores}, or they wait for each other"
        yield Finding(
            "threads", f"torch uses {threads} threads on {cores} cores: {advice}.", "slow"
        )
    else:
        yield Finding("threads", f"torch uses {threads} of {cores} cores")


def _cpu_fields(cpuinfo: str) -> Iterator[tuple[str, str]]:
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        yield name.strip(), value.strip()


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> Finding:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and limit.read_text().strip().isdigit():
        total = min(total, int(limit.read_text()))
    return Finding("memory", f"{total / GIB:.1f} GiB")


def _gpus() -> Iterator[Finding]:
    for index in range(torch.cuda.device_count()):
        gpu = torch.cuda.get_device_properties(index)
        bf16 = "with" if gpu.major >= 8 else "without"
        yield Finding(
            f"GPU {index}",
            f"{gpu.name}, {gpu.total_memory / GIB:.0f} GiB, compute capability "
            f"{gpu.major}.{gpu.minor}, {bf16} fast bfloat16",
        )
    if torch.cuda.is_available():
        return
    if shutil.which("nvidia-smi"):
        built = torch.version.cuda or "no CUDA"
        text = (
            f"a driver is installed, but torch (built for {built}) sees no GPU: compare with the "
            "CUDA version that `nvidia-smi` prints, and install a torch built for it."
        )
        yield Finding("GPU", text, "broken")
    else:
        text = "none: runs at 16 to 32 pixels take minutes, those of configs/paper take weeks"
        yield Finding("GPU", text, "slow")


def _libraries() -> Iterator[Finding]:
    names = ("torch", "torchvision", "pytorch-lightning", "jsonargparse", "torchmetrics")
    versions = [f"{name} {importlib.metadata.version(name)}" for name in names]
    yield Finding("libraries", ", ".join(versions))
    for package in ("lit-synth", "torchvision", "pytorch-lightning"):
        for problem in unmet_requirements(package):
            yield Finding("libraries", f"{problem}: run `make install`.", "broken")


def unmet_requirements(package: str) -> Iterator[str]:
    """Say which installed versions an installed package does not accept."""
    try:
        requirements = map(Requirement, importlib.metadata.requires(package) or [])
    except importlib.metadata.PackageNotFoundError:
        yield f"{package} is not installed"
        return
    for requirement in requirements:
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            found = "missing"
        if found == "missing" or not requirement.specifier.contains(found, prereleases=True):
            yield f"{package} needs {requirement}, but {requirement.name} is {found}"


def measure_speed(device: torch.device) -> Speed:
    """Time a convolution of 64 channels on 32x32 maps, in both precisions in turn."""
    batch = 256 if device.type == "cuda" else 16
    x = torch.randn(batch, 64, 32, 32, device=device, requires_grad=True)
    weight = torch.randn(64, 64, 3, 3, device=device, requires_grad=True)
    arranged = [t.detach().to(memory_format=torch.channels_last) for t in (x, weight)]
    x_last, weight_last = (tensor.requires_grad_() for tensor in arranged)

    def float32() -> Tensor:
        return F.conv2d(x, weight, padding=1)

    def bfloat16() -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            return F.conv2d(x_last, weight_last, padding=1)

    gflop = 3 * 2 * batch * 32 * 32 * 64 * 64 * 9 / 1e9  # forward, and backward twice as much
    seconds: dict[str, list[float]] = {"float32": [], "bfloat16": []}
    for _ in range(10):
        for name, step in (("float32", float32), ("bfloat16", bfloat16)):
            seconds[name].append(_seconds(step, device))
    # The best of several: what the machine can do, not what else it is doing.
    return Speed(**{name: gflop / min(times) for name, times in seconds.items()})


def _seconds(step: Callable[[], Tensor], device: torch.device) -> float:
    start = time.perf_counter()
    torch.autograd.backward(step().float().mean())
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _precision(device: torch.device, speed: Speed) -> Finding:
    ratio = speed.bfloat16 / speed.float32
    measured = (
        f"measured on the {device.type}, convolution forward and backward: "
        f"{speed.float32:.0f} GFLOP/s in float32, {speed.bfloat16:.0f} in bfloat16"
    )
    if ratio > 1.1:
        return Finding("precision", f"`--trainer.precision bf16-mixed` is the fast one; {measured}")
    return Finding("precision", f"stay with 32-true, bf16-mixed is not faster here; {measured}")


def _distributed() -> Finding:
    if not torch.distributed.is_available():
        return Finding("distributed", "torch was built without it: one process only")
    there = {
        "gloo": torch.distributed.is_gloo_available(),
        "nccl": torch.distributed.is_nccl_available(),
        "mpi": torch.distributed.is_mpi_available(),
    }
    return Finding("distributed", ", ".join(name for name, found in there.items() if found))


def _loading() -> Iterator[Finding]:
    workers = max(0, min(8, available_cores() - 1))
    yield Finding(
        "data loading",
        f"images in memory: num_workers 0; folders of files: up to num_workers {workers} here",
    )
    shared = Path("/dev/shm")
    if shared.is_dir() and (free := shutil.disk_usage(shared).free) < GIB:
        text = (
            f"/dev/shm has {free / GIB:.2f} GiB free: workers hand batches over through it and die "
            "with a bus error when it is full; use num_workers 0, or docker's --shm-size=2g."
        )
        yield Finding("data loading", text, "slow")


def _disk(runs_dir: Path) -> Finding:
    runs_dir = runs_dir.absolute()
    existing = next(path for path in (runs_dir, *runs_dir.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            free = shutil.disk_usage(existing).free
    except OSError as error:
        text = (
            f"run folders cannot be made in {runs_dir} ({error.strerror}): give another --runs_dir."
        )
        return Finding("disk", text, "broken")
    if free < GIB:
        text = f"{free / GIB:.2f} GiB free for {runs_dir}: make room, a run writes up to 1 GiB."
        return Finding("disk", text, "broken")
    return Finding("disk", f"{free / GIB:.0f} GiB free for {runs_dir}")


def _cache() -> Finding:
    """Say where what is made once is kept, and how much that is."""
    folder = cache_folder()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        text = f"nothing is kept, {existing} cannot be written: name another folder in {CACHE}."
        return Finding("cache", text, "slow")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    text = f"{size / 2**20:.0f} MiB in {folder}, which may be deleted; {CACHE} names another"
    return Finding("cache", text)


def _wandb() -> Finding:
    if os.environ.get("WANDB_API_KEY"):
        return Finding("wandb", "a key is set: `--trainer.logger WandbLogger` uploads")
    return Finding(
        "wandb", "WANDB_API_KEY is not set: offline runs, unless `wandb login` stored a key"
    )


def _inception(speed: Speed) -> Finding:
    path = cached_weights()
    minutes = 10_000 * INCEPTION_GFLOP / speed.float32 / 60
    pace = f"features of 10,000 images take about {max(minutes, 0.1):.1f} minutes here"
    state: State = "slow" if minutes > 5 else "ok"
    if not path.is_file():
        return Finding("Inception", f"weights come on first use (95 MB); {pace}", state)
    expected = path.stem.rpartition("-")[2]  # PyTorch's hub puts the hash's start into the name
    if not hashlib.sha256(path.read_bytes()).hexdigest().startswith(expected):
        return Finding("Inception", f"{path} is damaged: delete it to download it again.", "broken")
    return Finding("Inception", f"weights are there; {pace}", state)


def _assets(folder: Path) -> Iterator[Finding]:
    listed = folder / "SHA256SUMS"
    if not listed.is_file():
        yield Finding("assets", f"{listed} is missing: install lit-synth again.", "broken")
        return
    damaged = list(damaged_assets(folder))
    for problem in damaged:
        yield Finding("assets", f"{problem}: install lit-synth again.", "broken")
    if not damaged:
        yield Finding("assets", f"intact: {', '.join(bundled())}")


def damaged_assets(folder: Path) -> Iterator[str]:
    """Say which files of `folder` differ from its SHA256SUMS, and which releases do not load."""
    for line in (folder / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split(maxsplit=1)
        path = folder / name
        if not path.is_file():
            yield f"{path} is missing"
        elif hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            yield f"{path} is damaged"
        elif path.name == "model.safetensors":
            try:
                load_release(path.parent)
            except InputError as error:
                yield str(error).rstrip(".")


def _slurm() -> Finding:
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return Finding("SLURM", "not inside a job")
    nodes = os.environ.get("SLURM_JOB_NUM_NODES", "1")
    tasks = os.environ.get("SLURM_NTASKS", "1")
    text = (
        f"job {job}, {nodes} nodes, {tasks} tasks: --trainer.num_nodes {nodes}, and "
        "--trainer.devices times num_nodes must be the tasks"
    )
    return Finding("SLURM", text)
