"""Portraits of people."""

from datamodules.worlds.portraits.world import Portraits

__all__ = ["Portraits"]
