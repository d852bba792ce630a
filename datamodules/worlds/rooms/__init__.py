"""Rooms in RGB, depth, labels and more."""

from datamodules.worlds.rooms.world import Rooms

__all__ = ["Rooms"]
