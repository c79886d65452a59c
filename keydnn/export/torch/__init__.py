"""A module graph for PyTorch."""
