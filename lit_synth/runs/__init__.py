"""Run folders: their settings, their checkpoints, what is written there."""
