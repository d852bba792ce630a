"""Flowers in opponent colours."""

from datamodules.worlds.opponents.world import Flowers, Opponents

__all__ = ["Flowers", "Opponents"]
