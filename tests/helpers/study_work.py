"""What a study's process does in place of training, so that its pool can be watched."""

import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

from lit_synth.studies.worker import Result

PULSE_S = 0.01


def pretend(job, results):
    """Tell which process this is; fail for the source."""
    warm = "lit_synth.training.cli" in sys.modules
    metrics = {"pid": os.getpid(), "parent": os.getppid(), "warm": warm}
    results.send(Result(metrics, error="boom" if job.label == "prepare source" else ""))


def die(job, results):
    """End without a word in one job, while all others wait until it is gone."""
    gone = job.runs_dir / "gone"
    job.runs_dir.mkdir(exist_ok=True)
    if job.label == "scratch-5 seed 0":
        gone.touch()
        os._exit(3)
    while not gone.exists():
        time.sleep(PULSE_S)
    results.send(Result({"fid": 1.0}))


def make_release(job, results):
    """Write the source's release; return what is found in the release that an arm names."""
    if job.label == "prepare source":
        job.release.mkdir(parents=True)
        (job.release / "made_by").write_text(str(os.getpid()))
        results.send(Result({"made_by": os.getpid()}))
        return
    source = job.config["model"]["init_args"]["source"]
    found = (Path(source) / "made_by").read_text() if source else 0
    results.send(Result({"made_by": int(found)}))


def ask_to_stop(job, results):
    """Have the study stop as by a polite kill, and do not end before it says so."""
    os.kill(multiprocessing.parent_process().pid, signal.SIGTERM)
    time.sleep(60)
    results.send(Result({"late": 1.0}, error=job.label))
