"""Coloured objects."""

from datamodules.worlds.objects.world import ObjectColours, Objects

__all__ = ["ObjectColours", "Objects"]
