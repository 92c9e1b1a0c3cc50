"""Training of the codec and of the language model. Knows nothing of the command line or server."""
