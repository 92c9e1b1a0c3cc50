"""Runners compute the model and the codec for numbered slots."""
