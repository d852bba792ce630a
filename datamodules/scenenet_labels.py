"""Runs as `python -m datamodules.scenenet_labels`; see `datamodules.datasets.scenenet_labels`."""

import sys

from datamodules.datasets.scenenet_labels import main

if __name__ == "__main__":
    sys.exit(main())
