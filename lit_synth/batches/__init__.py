"""Batches between the data and a method: sets, labels, codings, pools of images."""
