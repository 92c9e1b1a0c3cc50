"""Checkpoints: from a name, a folder or a hub id to a model that runs, and back to files.

The only part that knows foreign tensor names, foreign configurations and the network.
"""

from causerie.checkpoint.load import Checkpoint, GenerationDefaults, load, load_codec
from causerie.checkpoint.save import save, save_codec, save_transformers

__all__ = [
    "Checkpoint",
    "GenerationDefaults",
    "load",
    "load_codec",
    "save",
    "save_codec",
    "save_transformers",
]
