"""Prepares recordings for training: from sound files to shards of codes."""
