"""Measures the quality of a model's speech: `run.evaluate` and the command `causerie eval`.

Each metric is a module with functions of audio, text or codes. Packages that a metric needs are
imported at first use.
"""
