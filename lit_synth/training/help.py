"""`lit-synth VERB --help` of the training verbs: the options that matter, grouped, at once."""

FULL = "--help_all"
ABOUT = {
    "fit": "Train, or go on with a run that was stopped: the same command does both.",
    "validate": "Evaluate a run's last checkpoint on the validation split.",
    "test": "Evaluate a run's last checkpoint on the test split.",
    "predict": "Write a run's images to a folder.",
}
RUN = {
    "--config FILE": "the YAML of the run; after training, its folder's config.yaml",
    "--run_id NAME": "folder of the run (default: seed<seed>)",
    "--runs_dir FOLDER": "parent of all run folders (default: runs)",
    "--seed_everything N": "seed of the run (default: 0)",
    "--ckpt_path NAME": "auto, fresh, best, last, or a file (default: auto)",
    "--print_config": "print all settings as YAML, and stop",
}
FIT = {
    "--iterations N": "of the run, shared over its stages in proportion",
    "--model.init_args.NAME VALUE": "any argument of the method",
    "--model.help CLASS": "the arguments of a method, e.g. MineGAN",
    "--data CLASS": "the data module, e.g. Unconditional",
    "--data.init_args.NAME VALUE": "any argument of the data, e.g. root, batch_size",
    "--data.help CLASS": "the arguments of a data module",
}
WATCH = {
    "--evaluate.every_n_iterations N": "how often to measure; null for never",
    "--evaluate.extractor NAME": "whose features the FID compares",
    "--samples.every_n_iterations N": "how often to draw sample grids",
    "--checkpoint.every_n_iterations N": "how often to save",
    "--checkpoint.best MEASURE": "by which best.ckpt is chosen",
}
MACHINE = {
    "--trainer.accelerator NAME": "cpu, gpu, ... (default: auto)",
    "--trainer.devices N": "how many (default: 1)",
    "--trainer.precision NAME": "32-true, bf16-mixed, 16-mixed",
    "--trainer.logger NAME": "besides CSV and TensorBoard, e.g. WandbLogger",
    "--trainer.log_every_n_steps N": "iterations between two rows of metrics.csv",
}
PREDICT = {
    "--out FOLDER": "where images go (default: <run>/predictions)",
    "--n_images N": "how many",
    "--source NAME": "translate from this modality ...",
    "--target NAME": "... to this one",
    "--via NAMES": "... over these",
    "--input FOLDER": "... the images of a folder",
    "--styles N": "results of each input, in random styles",
    "--reference FILE ...": "images whose styles to translate in",
    "--interpolate N": "steps from one style to another",
}


def short_help(verb: str) -> str:
    """Return the help of a training verb."""
    groups = {
        "fit": {"the run": RUN, "what is trained": FIT, "what is seen of it": WATCH},
        "predict": {"the run": RUN, "what is written": PREDICT},
    }.get(verb, {"the run": RUN})
    lines = [f"usage: lit-synth {verb} --config FILE [options]", "", ABOUT[verb]]
    for title, options in {**groups, "the machine": MACHINE}.items():
        lines += ["", f"{title}:", *(f"  {name:36}{text}" for name, text in options.items())]
    return "\n".join([*lines, "", f"All options: lit-synth {verb} {FULL}"])
