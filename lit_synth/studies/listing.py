"""What is known of a study at a glance: its verdict, and how many of its runs are done."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lit_synth.studies.jobs import Jobs
from lit_synth.studies.plan import Plan
from lit_synth.studies.worker import finished


def standing(plan: Plan, result: Path, runs_dir: Path, accelerator: str) -> str:
    """Return a study's verdict and how many runs of its arms are done, in words.

    A run is done if its numbers are in the study's result, or in its run folder. A result of
    another plan, or of another scale, has no numbers that count.

    Args:
        plan: The study.
        result: File that holds its result, once there is one.
        runs_dir: Parent of all run folders of studies.
        accelerator: Lightning's name of the device that it runs on.
    """
    outcome = json.loads(result.read_text()) if result.is_file() else {}
    if outcome.get("scale") != plan.scale:
        outcome = {}
    verdict = outcome.get("verdict", "not judged yet")
    measured: Mapping[str, Any] = outcome.get("arms", {})
    if outcome and outcome.get("provenance", outcome).get("plan") != plan.sha256:
        verdict, measured = f"{verdict} under an earlier plan", {}
    runs = [(arm, seed) for arm in plan.arms for seed in plan.seeds]
    missing = [(arm, seed) for arm, seed in runs if str(seed) not in measured.get(arm, {})]
    if missing:  # naming the folders of all runs takes far longer than all else
        arms = Jobs(plan, plan.seeds, runs_dir, accelerator).arms
        missing = [(arm, seed) for arm, seed in missing if finished(arms[arm][seed]) is None]
    return f"{verdict}: {len(runs) - len(missing)} of {len(runs)} runs done"
