"""Vehicles in scenery."""

from datamodules.worlds.vehicles.world import Vehicles

__all__ = ["Vehicles"]
