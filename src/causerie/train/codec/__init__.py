"""Training of a Mimi codec."""
