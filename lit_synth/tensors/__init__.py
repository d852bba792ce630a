"""What any room does with tensors: precision, pixels, hashes, processes."""
