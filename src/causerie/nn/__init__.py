"""Building blocks shared by the language model and the codec. Pure tensors."""
