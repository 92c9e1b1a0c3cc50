"""Building blocks that the language model and the codec share. Pure tensors."""
