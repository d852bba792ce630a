"""`lit-synth check`: what a folder of data is, what is wrong with it, and how to train on it."""

from lit_synth.commands.check.screen import add_parser, run

__all__ = ["add_parser", "run"]
