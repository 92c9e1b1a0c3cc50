"""Runners: they compute the model and the codec for numbered slots."""
