"""The verbs beside training, one a file: `add_parser` and `run`."""
