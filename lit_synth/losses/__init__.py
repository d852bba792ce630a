"""Losses and penalties as pure functions of tensors."""
