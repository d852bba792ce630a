"""The training verbs: Lightning's command line over self-contained YAML files."""

import logging
import shlex
import warnings
from argparse import ArgumentError
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
import yaml
from jsonargparse import get_loader, set_loader
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI
from torch.utils.data import DataLoader

import datamodules  # noqa: F401  registers the data modules by class name
import lit_synth.networks
from datamodules.errors import DataError
from lit_synth.callbacks import Checkpoint, Evaluate, ImageWriter, SampleGrid
from lit_synth.callbacks.checkpoint import misfit
from lit_synth.callbacks.trainer_queries import callback_of, data_of
from lit_synth.contracts.data import HasSplits
from lit_synth.contracts.translator import Translator
from lit_synth.errors import InputError
from lit_synth.inference.inputs import PriorBatches
from lit_synth.method import Method
from lit_synth.releases.format import find_release, read_release
from lit_synth.reports.run import FILE as REPORT
from lit_synth.runs import loggers, prepared
from lit_synth.runs.folder import claim_folder, run_folder, run_with
from lit_synth.runs.lightning_internals import lighten
from lit_synth.runs.resume import checkpoint_folder, find_checkpoint
from lit_synth.runs.settings import CONFIG, settings_of
from lit_synth.runs.yaml_files import read_mapping, refuse_unbounded
from lit_synth.stages import share_iterations
from lit_synth.training.misfits import explaining_misfits
from lit_synth.training.mistakes import sentence
from lit_synth.training.predict import translations
from lit_synth.training.predict.options import N_IMAGES, OF_TRANSLATIONS, add_predict_options
from lit_synth.training.ranking import Ranking, rank_references
from lit_synth.training.values import check_values, explaining_machine

TRAINER_DEFAULTS = {
    "max_epochs": -1,  # the stages' iterations end the run
    "accelerator": "auto",
    "devices": 1,
    "log_every_n_steps": 50,
    "use_distributed_sampler": False,  # the stream gives each process its slice
    "num_sanity_val_steps": 0,
    "enable_model_summary": False,
    "enable_progress_bar": False,  # ours counts iterations
}
_read_yaml = get_loader("yaml")

Adjust = Callable[[Any], None]


class Built(NamedTuple):
    """What a training verb works on.

    Attributes:
        method: What is trained, with its networks.
        data: What it is trained on.
        trainer: With the callbacks of the run.
    """

    method: Method
    data: Any
    trainer: pl.Trainer


def train(argv: Sequence[str]) -> int:
    """Run a training verb with its arguments, `argv[0]` being the verb; return the exit code."""
    with explaining_misfits():
        SynthCLI(args=list(argv))
    return 0


def _quieten() -> None:
    # Lightning's notes on devices and products; its warnings stay.
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    # Lightning 2.6 calls a function that torch 2.15 deprecates.
    warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated.*")
    # Frozen generators are in eval mode on purpose.
    warnings.filterwarnings("ignore", message=".*module\\(s\\) in eval mode at the start.*")


class SynthCLI(LightningCLI):
    """Lightning's command line with run folders, automatic resume and our callbacks.

    Checkpoints never change the configuration: the YAML and the command line are the truth.

    Args:
        args: The verb and its options.
        run_verb: Run the verb, or leave it at building what it works on?
        adjust: Is given the verb's settings before anything is built of them, and may change them.
        prepared_in: Folder of all runs that has what the run's `prepare` names; None: the run's
            own, where `fit` trains what is missing.
    """

    def __init__(
        self,
        args: list[str],
        run_verb: bool = True,
        adjust: Adjust | None = None,
        prepared_in: Path | None = None,
    ) -> None:
        self.verb, self.run_verb = args[0], run_verb
        self.adjust, self.prepared_in = adjust, prepared_in
        _quieten()
        super().__init__(
            Method,
            pl.LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            trainer_defaults=dict(TRAINER_DEFAULTS),
            save_config_callback=None,
            seed_everything_default=0,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            parser_kwargs={"prog": "lit-synth", "allow_abbrev": False, "exit_on_error": False},
            args=args,
        )

    @classmethod
    def build(
        cls, args: Sequence[str], adjust: Adjust | None = None, prepared_in: Path | None = None
    ) -> Built:
        """Return what a verb works on, without running it.

        Args:
            args: The verb and its options; `fit` claims its run folder.
            adjust: Is given the verb's settings before anything is built of them.
            prepared_in: Folder of all runs that has what the run's `prepare` names.
        """
        cli = cls(list(args), run_verb=False, adjust=adjust, prepared_in=prepared_in)
        return Built(cli.model, cli.datamodule, cli.trainer)

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]  # of this verb alone
        """Return the verb: the parsers of the others would take a second to build."""
        return {self.verb: LightningCLI.subcommands()[self.verb]}

    def _run_subcommand(self, subcommand: str) -> None:
        if self.run_verb:
            super()._run_subcommand(subcommand)

    def parse_arguments(
        self,
        parser: LightningArgumentParser,  # noqa: ARG002 - it is self.parser
        args: Any,
    ) -> None:
        # Lightning would warn that sys.argv holds arguments too: here they are the same.
        for path in _configurations(args):
            read_mapping(path, "the configuration")
        self.config = self._parsed(args)
        check_values(self.config[self.config.subcommand])

    def _parsed(self, args: list[str]) -> Any:
        set_loader("yaml", _bounded_yaml, exceptions=(yaml.YAMLError,))
        try:
            return self.parser.parse_args(args)
        except ArgumentError as error:
            raise InputError(sentence(str(error), self.verb_parser.get_defaults().keys())) from None

    def _parse_ckpt_path(self) -> None:
        """Leave the configuration alone: Lightning would let a checkpoint override it."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        self.verb_parser = parser
        parser.add_lightning_class_args(Checkpoint, "checkpoint")
        parser.add_lightning_class_args(SampleGrid, "samples")
        parser.add_lightning_class_args(Evaluate, "evaluate")
        parser.add_argument(
            "--runs_dir", type=str, default="runs", help="Parent of all run folders."
        )
        parser.add_argument(
            "--run_id",
            type=str | None,
            default=None,
            help="Folder of this run (default: seed<seed>).",
        )
        parser.add_argument(
            "--prepare",
            type=dict[str, str] | None,
            default=None,
            help="Configurations of runs to train before, by name: $prepare.NAME is the release "
            "of the one with this run's seed.",
        )
        parser.add_argument(
            "--ranking",
            type=Ranking | None,
            default=None,
            help="Which of a person's images come with a mask: those whose own masks are nearest.",
        )
        parser.add_argument(
            "--iterations",
            type=int | None,
            default=None,
            help="Iterations of the run, shared over its stages in proportion (default: as the "
            "stages say).",
        )
        add_predict_options(parser)

    @property
    def _settings(self) -> Any:
        return self.config[self.subcommand]

    def before_instantiate_classes(self) -> None:
        settings = self._settings
        if self.adjust is not None:
            self.adjust(settings)
        if settings.iterations is not None:
            _share(settings)
        config = Path(str(settings.config[-1])) if settings.config else None
        self.folder = _run_folder(settings, config)
        settings.trainer.default_root_dir = str(self.folder)
        several = settings.trainer.devices not in (1, "1") or settings.trainer.num_nodes > 1
        if several and settings.trainer.strategy == "auto":
            # A player's backward leaves the other's parameters out, which plain ddp refuses.
            settings.trainer.strategy = "ddp_find_unused_parameters_true"
        if settings.prepare and config is not None:
            self._use_given_releases(settings, config)
        if settings.prepare:
            folder, trained = config and config.parent, self.subcommand != "fit"
            settings.prepare = prepared.find(settings.prepare, folder, missing_ok=trained)
        self._dump_config()
        if self.subcommand == "fit":
            claim_folder(self.folder, self.config_dump, settings.ckpt_path)
        self._prepare()
        settings.trainer.logger = loggers.configure(settings.trainer.logger, self.folder)

    def _use_given_releases(self, settings: Any, config: Path) -> None:
        """Prepare nothing where a release is given in place of the one that the file prepares.

        What is prepared to be compared with was made for the file's own data, and is left out.
        """
        file = read_mapping(config, "the configuration")
        given = prepared.given_instead(file.get("model"), settings.model)
        for release in given.values():
            read_release(find_release(release))
        if given:
            settings.prepare = None
            prepared.leave_out(settings.evaluate)
            prepared.leave_out(settings.samples)
            print(f"lit-synth: prepare: no run, as {', '.join(given)} is given.", flush=True)

    def _prepare(self) -> None:
        """Train what this run needs, or see that it is there, and have the settings name it."""
        settings = self._settings
        seed, own = settings.seed_everything, self.folder / CONFIG
        if self.subcommand != "fit" and own.is_file():  # may be asked for with another seed
            seed = settings_of(self.folder).get("seed_everything", seed)
        runs_dir = self.prepared_in or self.folder.parents[1]
        needed = prepared.needed(self.config_dump, runs_dir, seed)
        trains = self.subcommand == "fit" and self.prepared_in is None and prepared.trains_here()
        for run in needed:
            if trains:
                accelerator = settings.trainer.accelerator
                options = ["--trainer.devices", "1", "--trainer.num_nodes", "1"]
                if isinstance(accelerator, str):
                    options += ["--trainer.accelerator", accelerator]
                prepared.train(run, self._settings_of(run), options)
            else:
                prepared.require(run)
        prepared.fill_in(settings, needed)

    def _settings_of(self, run: prepared.Prepared) -> dict[str, Any]:
        """Return all settings of another run, as its config.yaml would hold them."""
        read_mapping(run.config, "the configuration")
        config = self._parsed(run.arguments())
        settings = config[config.subcommand]
        if settings.prepare:
            settings.prepare = prepared.find(settings.prepare, run.config.parent)
        return self._dumped(config)

    def _dump_config(self) -> None:
        """Keep all settings as the run's config.yaml holds them, once, before more is filled in."""
        if not hasattr(self, "config_dump"):
            self.config_dump = self._dumped(self.config)

    def _dumped(self, config: Any) -> dict[str, Any]:
        # Not validated: `parse_args` has done so, and it takes as long as all the rest.
        text = self.parser.dump(
            config,
            skip_link_targets=False,
            skip_unset=False,
            skip_validation=True,
            format="yaml",
        )
        return yaml.safe_load(text)[config.subcommand]

    def instantiate_classes(self) -> None:
        try:
            super().instantiate_classes()
        except ValueError as error:
            # jsonargparse wraps what a constructor raises.
            cause: BaseException | None = error
            while cause is not None and not isinstance(cause, InputError | DataError):
                cause = cause.__cause__
            raise cause or error from None

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        ranking = self.config_init[self.subcommand].ranking
        if ranking is not None:
            rank_references(self.datamodule, ranking)
        trainer_callbacks = lit_synth.callbacks.always_on()
        if self.subcommand == "predict":
            trainer_callbacks.append(self._writer())
        self.trainer_defaults["callbacks"] = trainer_callbacks
        with explaining_machine():
            trainer = super().instantiate_trainer(**kwargs)
        lighten(trainer)
        return trainer

    def _writer(self) -> pl.Callback:
        out = Path(self._settings.out or self.folder / "predictions")
        if isinstance(self.model, Translator):
            self.job = translations.prepare(self.model, self.datamodule, self._settings)
            return translations.writer(self.job, self.datamodule, out)
        for name in OF_TRANSLATIONS:
            if self._settings[name] is not None:
                raise InputError(
                    f"--{name} is for methods that translate between modalities, which "
                    f"{type(self.model).__name__} does not."
                )
        return ImageWriter(out)

    def before_fit(self) -> None:
        self._load_from(self._checkpoint())
        # Evaluation during training is the Evaluate callback's, at its own iterations.
        self.trainer.limit_val_batches = 0

    def after_fit(self) -> None:
        """Say where everything is, and what to type next."""
        if self.trainer.is_global_zero:
            print(_ending(self.folder, self.trainer, self.model), flush=True)

    def before_validate(self) -> None:
        self._require_checkpoint()

    def before_test(self) -> None:
        self._require_checkpoint()

    def before_predict(self) -> None:
        self._require_checkpoint()

    def _require_checkpoint(self) -> None:
        found = self._checkpoint()
        if found is None:
            raise InputError(f"no checkpoint in {self.folder}: train first with `lit-synth fit`.")
        self._load_from(found)

    def _checkpoint(self) -> Path | None:
        fits = partial(misfit, self.model)
        return find_checkpoint(self.folder, self._settings.ckpt_path, fits)

    def _load_from(self, checkpoint: Path | None) -> None:
        self.config_init[self.subcommand].ckpt_path = checkpoint
        self.config_init[self.subcommand].weights_only = True  # a checkpoint never executes code

    def predict(self, model: Method, ckpt_path: Path, **_: Any) -> None:
        """Write `--n_images` images drawn from the seed, or translate."""
        if isinstance(model, Translator):
            translations.run(self.trainer, model, self.job, ckpt_path)
            return
        n = self._settings.n_images
        n = N_IMAGES if n is None else n
        inputs = PriorBatches(model, n, self._settings.seed_everything)
        self.trainer.predict(
            model,
            DataLoader(inputs, batch_size=None),
            ckpt_path=ckpt_path,
            return_predictions=False,
        )


def _configurations(args: Sequence[str]) -> list[Path]:
    """Return the existing files that a command line names with --config."""
    given = [after for before, after in pairwise(args) if before in ("-c", "--config")]
    given += [each.partition("=")[2] for each in args if each.startswith("--config=")]
    return [Path(each) for each in given if Path(each).exists()]


def _share(settings: Any) -> None:
    """Give the stages the iterations that `--iterations` has for all of them."""
    stages = settings.model.init_args.stages
    lengths = [stage.iterations for stage in stages]
    for stage, share in zip(stages, share_iterations(settings.iterations, lengths), strict=True):
        stage.iterations = share
    settings.iterations = None  # the run's config.yaml says it by the stages


def _ending(folder: Path, trainer: pl.Trainer, method: Method) -> str:
    """Return what a finished run tells: its folder, its report, its best measure, what is next."""
    rows = [("run", str(folder)), ("report", str(folder / REPORT))]
    checkpoint, evaluate = callback_of(trainer, Checkpoint), callback_of(trainer, Evaluate)
    if checkpoint and evaluate and checkpoint.best_value is not None:
        best = f"{evaluate.split}/{checkpoint.best} {checkpoint.best_value:.4g}"
        rows.append(("best", f"{best}, in {checkpoint_folder(folder) / 'best.ckpt'}"))
    rows += [("next", command) for command in _next_commands(folder, trainer, method)]
    title = f"lit-synth: done, {method.iteration} iterations"
    return "\n".join([title, *(f"  {name:8}{text}" for name, text in rows)])


def _next_commands(folder: Path, trainer: pl.Trainer, method: Method) -> list[str]:
    """Return what measures the run and what makes its images, as typed."""
    config, data = ["--config", str(folder / CONFIG)], data_of(trainer)
    tested = isinstance(data, HasSplits) and data.has_split("test")
    test, predict = ["lit-synth", "test", *config], ["lit-synth", "predict", *config]
    if isinstance(method, Translator):
        first = method.translations()[0]
        predict += ["--source", ",".join(first.sources), "--target", first.target]
        predict += ["--via", ",".join(first.route[:-1])] if first.route[:-1] else []
        predict += [] if tested else ["--input", "FOLDER"]
    return [shlex.join(command) for command in ([test, predict] if tested else [predict])]


def _run_folder(settings: Any, config: Path | None) -> Path:
    """Return the folder of the run that settings from `config` belong to.

    A run's own config.yaml leads to that run, also where the folder of all runs has moved.
    """
    run_id = settings.run_id or f"seed{settings.seed_everything}"
    own = run_with(config) if config else None
    if config is None or own is None:
        return run_folder(settings.runs_dir, config.stem if config else "run", run_id)
    untold = settings.runs_dir == settings_of(own).get("runs_dir")
    runs_dir = own.parent.parent if untold else settings.runs_dir
    return run_folder(runs_dir, own.parent.name, run_id)


def _bounded_yaml(text: str) -> Any:
    """Read YAML as jsonargparse does, of a value or of a file such as `--data FILE`."""
    try:
        refuse_unbounded(text)
    except ValueError as error:
        raise InputError(f"what is given as '{text:.40}...' cannot be read: {error}.") from None
    return _with_paths(_read_yaml(text))


def _with_paths(value: Any) -> Any:
    """Return what was read with our networks by their paths.

    By its name alone jsonargparse would look for each among all modules of torch, a thousand.
    """
    if isinstance(value, list):
        return [_with_paths(each) for each in value]
    if not isinstance(value, dict):
        return value
    found = {key: _with_paths(each) for key, each in value.items()}
    if found.get("class_path") in lit_synth.networks.__all__:
        found["class_path"] = f"{lit_synth.networks.__name__}.{found['class_path']}"
    return found
