"""Being stopped: SLURM's notice before the time limit, a polite kill, Ctrl+C."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeAlias

SIGNALS = (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)
# What a process passes on to those that it has started; a closed terminal stops them too.
PASSED_ON = (*SIGNALS, signal.SIGHUP)
# What SLURM ends a job with that it requeues, the command that asks for it included.
_ENDED = (-signal.SIGTERM, -signal.SIGKILL)

Handler: TypeAlias = Callable[[int, FrameType | None], None]


def requeue_until_training() -> None:
    """Under SLURM, have SIGUSR1 requeue the job and end this process at once.

    There is nothing to save before training, however long it takes to prepare; from its start the
    Checkpoint callback handles the signal.
    """
    if _job() is None or threading.current_thread() is not threading.main_thread():
        return
    process = os.getpid()

    def end(signum: int, _: FrameType | None) -> None:
        if os.getpid() != process:  # a data worker, which has inherited this
            return
        if os.environ.get("SLURM_PROCID", "0") == os.environ.get("LOCAL_RANK", "0") == "0":
            say_goodbye(signum, "outside of training, with nothing to save")
        raise SystemExit(128 + signum)

    signal.signal(signal.SIGUSR1, end)


@contextmanager
def handling(handler: Handler) -> Iterator[None]:
    """Have a function handle `PASSED_ON`, but for those that are ignored, as under nohup."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        for signum in PASSED_ON:
            if signal.getsignal(signum) is not signal.SIG_IGN:
                before[signum] = signal.signal(signum, handler)
    try:
        yield
    finally:
        for signum, old in before.items():
            signal.signal(signum, old)


def say_goodbye(signum: int, saved: str) -> None:
    """Have SLURM requeue the job on SIGUSR1, and tell the user what happens next.

    Args:
        signum: The signal that stopped the run.
        saved: What goes after "stopped by SIGUSR1".
    """
    job = _job()
    then = "the same command goes on from there"
    if signum == signal.SIGUSR1 and job is not None:
        then = (
            f"job {job} is requeued and goes on from there"
            if _requeue(job)
            else f"SLURM did not requeue job {job}: submit it again to go on from there"
        )
    name = signal.Signals(signum).name
    print(f"lit-synth: stopped by {name} {saved}; {then}.", file=sys.stderr)


def _job() -> str | None:
    """Return what SLURM calls this job, if it is one."""
    job = os.environ.get("SLURM_ARRAY_JOB_ID", os.environ.get("SLURM_JOB_ID"))
    if job is not None and "SLURM_ARRAY_TASK_ID" in os.environ:
        job = f"{job}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    return job


def _requeue(job: str) -> bool:
    """Tell whether SLURM requeues a job."""
    try:
        code = subprocess.run(["scontrol", "requeue", job]).returncode
    except OSError:
        return False
    return code == 0 or code in _ENDED
