"""Public data sets, read as their authors lay them out."""
