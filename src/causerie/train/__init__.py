"""Training. Knows nothing of the command line or server."""
