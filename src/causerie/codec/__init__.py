"""The Mimi codec: 24 kHz waveform ↔ RVQ codes at 12.5 frames a second.

Pure tensors; knows nothing of the language model, of files, or of names in checkpoints.
"""
