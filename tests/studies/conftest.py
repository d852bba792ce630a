import pytest
import yaml

CONFIG = {
    "model": {
        "class_path": "WGANGP",
        "init_args": {
            "n_critic": 3,
            "source": None,
            "stages": [{"name": "train", "iterations": 9}],
        },
    },
    "data": {"class_path": "Digits", "init_args": {"batch_size": 4}},
}


@pytest.fixture
def write_plan(tmp_path):
    """Write a small plan, with what a test changes in it, and return its path."""
    config = tmp_path / "base.yaml"
    config.write_text(yaml.safe_dump(CONFIG))

    def write(**changes):
        plan = {
            "id": "toy",
            "claim": "Transfer helps.",
            "source_tables": ["table-1"],
            "protocol": "Two arms.",
            "seeds": [0, 1, 2, 3, 4],
            "scales": {
                "default": {"steps": 8, "sizes": [5, 50]},
                "smoke": {"steps": 1, "sizes": [5]},
            },
            "prepare": {
                "source": {"config": str(config), "set": {"model.init_args.width": "$steps"}}
            },
            "common": {"data.init_args.limit": "$size"},
            "arms": {
                "scratch-$size": {"for": {"size": "$sizes"}, "config": str(config)},
                "transfer-$size": {
                    "for": {"size": "$sizes"},
                    "config": str(config),
                    "set": {"model.init_args.source": "$prepare.source"},
                },
            },
            "metrics": {"fid": "lower"},
            "expects": [
                {
                    "says": "transfer is better with $size",
                    "for": {"size": "$sizes"},
                    "less": ["transfer-$size", "scratch-$size"],
                    "metric": "fid",
                },
                {
                    "says": "transfer is better",
                    "less": ["transfer-*", "scratch-*"],
                    "metric": "fid",
                    "role": "primary",
                },
            ],
            "gate": [
                {
                    "says": "images from scratch are not noise",
                    "between": "scratch-*",
                    "within": [0, 100],
                    "metric": "fid",
                }
            ],
        }
        plan.update(changes)
        path = tmp_path / "toy.yaml"
        path.write_text(yaml.safe_dump(plan))
        return path

    return write
