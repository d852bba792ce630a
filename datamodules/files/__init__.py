"""Files of images and scenes: found, checked, decoded, read when needed."""
