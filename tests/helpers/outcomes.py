"""Outcomes of studies from numbers that a test gives, without running anything."""

from lit_synth.studies.judging import judged

FACTS = {
    "ema": None,
    "lr": {"critic": 0.0002},
    "updates": {"critic": 10, "generator": 10},
    "images": 40,
    "batch_size": 4,
    "trials": None,
    "data": "Digits 1a2b3c4d",
}


def outcome_of(plan, arms, **changes):
    """Return the outcome of a plan whose runs have measured `arms`: name -> seed -> metrics."""
    rows = {
        "arms": arms,
        "prepared": {},
        "facts": {arm: dict(FACTS) for arm in arms},
        "curves": {
            arm: {
                seed: {"val/fid": [[k, row["fid"] + 4 - k] for k in range(1, 5)]}
                for seed, row in by_seed.items()
            }
            for arm, by_seed in arms.items()
        },
        "cards": {
            "common": {"extractor": "judge"},
            "differ": {arm: {"n_real": int("50" in arm) + 7} for arm in arms},
        },
        "failures": {},
        "provenance": {"revisions": {"abc": 40}, "world": {}, "machine": {}, "machines": 0},
        "wall_s": 120.0,
        **changes,
    }
    return judged(plan, rows)


def fids(seeds=8, **of_arm):
    """Return rows of a metric: arm (a - for each _) -> mean FID, a little more for each seed."""
    return {
        arm.replace("_", "-"): {seed: {"fid": mean + 0.1 * seed} for seed in range(seeds)}
        for arm, mean in of_arm.items()
    }
