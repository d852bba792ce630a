"""What rooms ask of each other; protocols and plain records only."""
