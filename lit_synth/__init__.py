"""Train, transfer, mine and measure GANs on scarce, unpaired, disjoint or biased data."""

__version__ = "0.1.0"
