"""Sound in and out: files, sample rates, loudspeakers. Knows nothing of models."""
