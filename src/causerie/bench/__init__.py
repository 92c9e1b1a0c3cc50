"""Measures how fast causerie makes speech: `run.Bench` and the command `causerie bench`."""
