"""Handbags: colour, texture, shape, shade."""

from datamodules.worlds.bags.world import Bags

__all__ = ["Bags"]
