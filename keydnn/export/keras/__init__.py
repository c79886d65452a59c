"""A module graph for Keras."""
