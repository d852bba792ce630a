"""The one way to ask a trained method for images."""
