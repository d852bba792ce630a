"""What all data modules of one relation share: splits, loaders, streams."""
