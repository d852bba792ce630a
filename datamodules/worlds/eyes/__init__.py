"""Infrared eyes: person, gaze, pupil, camera, four exact classes."""

from datamodules.worlds.eyes.world import Eyes

__all__ = ["Eyes"]
