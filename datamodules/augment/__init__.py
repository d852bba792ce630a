"""How images, or all modalities of a scene together, are changed as they are drawn."""
