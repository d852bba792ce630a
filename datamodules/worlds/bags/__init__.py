"""Handbags: colour, texture, shape, shade; and their edges."""

from datamodules.worlds.bags.pairs import BagEdges
from datamodules.worlds.bags.world import Bags

__all__ = ["BagEdges", "Bags"]
