"""What a folder of data holds, before any of it is trained on."""
