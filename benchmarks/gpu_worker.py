"""Runs one step of `benchmarks/gpu.py` in this process, also where packages are missing."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import stand_ins


def main() -> int:
    """Run the step; its last line says how it ended."""
    stand_ins.install()  # before causerie is imported
    sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
    code: int = importlib.import_module("gpu_steps").main()
    return code


if __name__ == "__main__":
    sys.exit(main())
