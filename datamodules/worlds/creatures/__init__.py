"""Faces of animals: cats, dogs, rabbits."""

from datamodules.worlds.creatures.world import KINDS, Creatures

__all__ = ["KINDS", "Creatures"]
