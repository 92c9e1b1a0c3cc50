"""Puts the recipe's folder on the import path, as running one of its scripts does."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "recipes" / "petit"))
