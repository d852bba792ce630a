"""What is done to images or features in training."""
