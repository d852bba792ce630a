"""Data modules, one per relation between domains; importing this lets bare class names resolve."""

from datamodules.attributes import Attributes
from datamodules.biased import Biased
from datamodules.datasets.celeba import CelebA
from datamodules.datasets.digits import Digits
from datamodules.datasets.freiburg_forest import FreiburgForest
from datamodules.datasets.openeds import OpenEDS
from datamodules.datasets.openeds_file import OpenEDSFile
from datamodules.datasets.scenenet import SceneNet
from datamodules.datasets.sun_rgbd import SunRGBD
from datamodules.disjoint import Disjoint
from datamodules.errors import DataError
from datamodules.labelled.table import AttributeTable
from datamodules.labelled_images import LabelledImages
from datamodules.paired import Paired
from datamodules.persons import Persons
from datamodules.segmented import Segmented
from datamodules.unconditional import Unconditional
from datamodules.unpaired import Unpaired
from datamodules.worlds.bags.pairs import BagEdges
from datamodules.worlds.bags.world import Bags
from datamodules.worlds.creatures.world import Creatures
from datamodules.worlds.eyes.world import Eyes
from datamodules.worlds.objects.world import ObjectColours, Objects
from datamodules.worlds.opponents.world import Flowers, Opponents
from datamodules.worlds.portraits.world import Portraits
from datamodules.worlds.rooms.world import Rooms
from datamodules.worlds.vehicles.world import Vehicles

__all__ = [
    "AttributeTable",
    "Attributes",
    "BagEdges",
    "Bags",
    "Biased",
    "CelebA",
    "Creatures",
    "DataError",
    "Digits",
    "Disjoint",
    "Eyes",
    "Flowers",
    "FreiburgForest",
    "LabelledImages",
    "ObjectColours",
    "Objects",
    "OpenEDS",
    "OpenEDSFile",
    "Opponents",
    "Paired",
    "Persons",
    "Portraits",
    "Rooms",
    "SceneNet",
    "Segmented",
    "SunRGBD",
    "Unconditional",
    "Unpaired",
    "Vehicles",
]
