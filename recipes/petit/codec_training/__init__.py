"""Training of a Mimi codec on speech with phoneme alignment, on the CPU."""
