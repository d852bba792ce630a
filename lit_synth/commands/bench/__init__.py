"""`lit-synth bench`: time a config, and its step beside other forms of the same mathematics."""

from lit_synth.commands.bench.loop import add_parser, run

__all__ = ["add_parser", "run"]
