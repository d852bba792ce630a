"""Data modules, one per relation between domains; importing this lets bare class names resolve."""

from datamodules.biased import Biased
from datamodules.celeba import CelebA
from datamodules.digits import Digits
from datamodules.disjoint import Disjoint
from datamodules.errors import DataError
from datamodules.freiburg_forest import FreiburgForest
from datamodules.labelled_images import LabelledImages
from datamodules.multidomain import Attributes
from datamodules.paired import Paired
from datamodules.scenenet import SceneNet
from datamodules.sun_rgbd import SunRGBD
from datamodules.tables import AttributeTable
from datamodules.unconditional import Unconditional
from datamodules.unpaired import Unpaired
from datamodules.worlds.bags import Bags
from datamodules.worlds.objects import ObjectColours, Objects
from datamodules.worlds.opponents import Flowers, Opponents
from datamodules.worlds.portraits import Portraits
from datamodules.worlds.rooms import Rooms
from datamodules.worlds.vehicles import Vehicles

__all__ = [
    "AttributeTable",
    "Attributes",
    "Bags",
    "Biased",
    "CelebA",
    "DataError",
    "Digits",
    "Disjoint",
    "Flowers",
    "FreiburgForest",
    "LabelledImages",
    "ObjectColours",
    "Objects",
    "Opponents",
    "Paired",
    "Portraits",
    "Rooms",
    "SceneNet",
    "SunRGBD",
    "Unconditional",
    "Unpaired",
    "Vehicles",
]
