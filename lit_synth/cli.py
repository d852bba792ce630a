"""The console script `lit-synth`: Lightning's verbs and the tools' verbs.

Nothing heavy is imported before the verb is known, so that help and version answer at once.
"""

import argparse
import importlib
import os
import re
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from lit_synth import __version__
from lit_synth.errors import InputError, did_you_mean
from lit_synth.runs.stopping import requeue_until_training

TRAINING = {
    "fit": "train, or go on with a run that was stopped",
    "validate": "evaluate a run's last checkpoint on the validation split",
    "test": "evaluate a run's last checkpoint on the test split",
    "predict": "write a run's images to a folder",
}
COMMANDS = {
    "check": "say what a folder of data is, what is wrong with it, and how to train on it",
    "evaluate": "compare two folders of images: FID, KID, precision, recall, memorisation",
    "rank-sources": "rank pretrained GANs for a target folder",
    "presets": "compute gamma, batch, learning rate and half-life for a size of images",
    "import": "bring in a public GAN or translator: StyleGAN2, PGAN, BigGAN, DCGAN, CycleGAN, ...",
    "zoo": "list the releases that come with lit-synth",
    "export": "write a release in a public layout, in half precision, or as ONNX or torch.export",
    "sample": "draw images from a release's generator",
    "translate": "translate photos by an imported CycleGAN or pix2pix",
    "train-classifier": "train the classifier whose features measure images",
    "study": "list, run and report the studies behind every claim",
    "bench": "time a config: images/s, ms per phase, memory, trainer overhead",
    "demo": "mine two bundled digit GANs and compare with the alternatives",
    "doctor": "say what machine, precision and libraries there are, and what will be slow",
}
MODULES = {"import": "import_weights"}  # where the verb is a word of Python
EXIT_INPUT = 2


class WholeWordsParser(argparse.ArgumentParser):
    """Refuses a shortened option as it does a mistyped one; sub-parsers are of the same class."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "allow_abbrev": False})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        known, unknown = super().parse_known_args(args, namespace)
        if unknown:  # found by the parser of the verb, which knows the options
            word = unknown[0].partition("=")[0]
            nearest = did_you_mean(word, self.format_usage().replace("[", " ").split())
            self.error(f"there is no option {word}{nearest or f'; try {self.prog} --help'}")
        return known, unknown

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one sentence, without the usage."""
        choice = re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message)
        if choice:
            message += did_you_mean(choice[1], re.split("[', ]+", choice[2]))
        verb = self.prog.removeprefix("lit-synth").strip()
        raise InputError(": ".join(filter(None, [verb, message])) + "." * (message[-1] != "?"))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        argv: Arguments without the program's name; None takes them from `sys.argv`.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    verb = argv[0] if argv else "--help"
    if verb in ("-h", "--help"):
        print(_help())
        return 0
    if verb == "--version":
        print(f"lit-synth {__version__}")
        return 0
    if verb not in TRAINING and verb not in COMMANDS:
        verbs = [*TRAINING, *COMMANDS]
        hint = did_you_mean(verb, verbs) or f": choose from {', '.join(verbs)}."
        print(f"lit-synth: there is no verb '{verb}'{hint}", file=sys.stderr)
        return EXIT_INPUT
    return _run(verb, argv)


def _run(verb: str, argv: list[str]) -> int:
    try:
        if verb in TRAINING:
            return _train(verb, argv)
        code = _tool(verb, argv)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # as by `| head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
        return 128 + signal.SIGPIPE
    except ValueError as error:
        if os.environ.get("LIT_SYNTH_DEBUG") or not _is_input_error(error):
            raise
        print(f"lit-synth: {error}", file=sys.stderr)
        return EXIT_INPUT
    except OSError as error:
        if error.filename is None or os.environ.get("LIT_SYNTH_DEBUG"):
            raise
        print(
            f"lit-synth: {error.filename} cannot be read or written ({error.strerror}): give "
            "another path, or mend this one.",
            file=sys.stderr,
        )
        return EXIT_INPUT
    except KeyboardInterrupt:
        print(
            "lit-synth: interrupted; the same command goes on from the last checkpoint.",
            file=sys.stderr,
        )
        return 130


def _train(verb: str, argv: list[str]) -> int:
    from lit_synth.training.help import FULL, short_help

    if "-h" in argv or "--help" in argv:
        print(short_help(verb))
        return 0
    requeue_until_training()
    from lit_synth.training.cli import train

    return train(["--help" if each == FULL else each for each in argv])


def _is_input_error(error: ValueError) -> bool:
    # Who has raised a DataError has imported its module; all data modules come with it.
    data = sys.modules.get("datamodules.errors")
    return isinstance(error, InputError) or (data is not None and isinstance(error, data.DataError))


def _tool(verb: str, argv: list[str]) -> int:
    name = MODULES.get(verb, verb.replace("-", "_"))
    module = importlib.import_module(f"lit_synth.commands.{name}")
    parser = WholeWordsParser(prog="lit-synth")
    module.add_parser(parser.add_subparsers())
    return module.run(parser.parse_args(argv))


def _help() -> str:
    width = max(map(len, [*TRAINING, *COMMANDS])) + 2
    rows = [f"  {verb:{width}}{text}" for verb, text in {**TRAINING, **COMMANDS}.items()]
    split = len(TRAINING)
    return "\n".join(
        [
            f"lit-synth {__version__}: GANs on scarce, unpaired, disjoint or biased data",
            "",
            "usage: lit-synth VERB [options]        lit-synth VERB --help for its options",
            "",
            "training (one YAML is one run, any value can be overridden on the command line):",
            *rows[:split],
            "",
            "tools:",
            *rows[split:],
            "",
            "start here: lit-synth fit --config configs/minegan.yaml",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
