"""Data modules, one per relation between domains; importing this lets bare class names resolve."""

from datamodules.digits import Digits
from datamodules.disjoint import Disjoint
from datamodules.errors import DataError
from datamodules.freiburg_forest import FreiburgForest
from datamodules.paired import Paired
from datamodules.scenenet import SceneNet
from datamodules.sun_rgbd import SunRGBD
from datamodules.unconditional import Unconditional
from datamodules.unpaired import Unpaired
from datamodules.worlds.objects import ObjectColours, Objects
from datamodules.worlds.opponents import Flowers, Opponents
from datamodules.worlds.rooms import Rooms
from datamodules.worlds.vehicles import Vehicles

__all__ = [
    "DataError",
    "Digits",
    "Disjoint",
    "Flowers",
    "FreiburgForest",
    "ObjectColours",
    "Objects",
    "Opponents",
    "Paired",
    "Rooms",
    "SceneNet",
    "SunRGBD",
    "Unconditional",
    "Unpaired",
    "Vehicles",
]
