"""Sound in and out: files, sample rates, loudspeakers. Does not know models."""
