"""Data modules, one per relation between domains; importing this lets bare class names resolve."""

from datamodules.digits import Digits
from datamodules.errors import DataError
from datamodules.unconditional import Unconditional
from datamodules.worlds.rooms import Rooms
from datamodules.worlds.vehicles import Vehicles

__all__ = ["DataError", "Digits", "Rooms", "Unconditional", "Vehicles"]
