"""What the server answers to, a file a protocol."""
