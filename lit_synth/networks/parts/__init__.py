"""What several families of networks are built from."""
