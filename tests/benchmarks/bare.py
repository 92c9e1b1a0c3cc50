"""A Python in which only torch's own packages can be imported."""

from __future__ import annotations

import sys
from pathlib import Path

#: What torch's container images lack.
BLOCKED = ("soundfile", "_soundfile", "soxr", "sentencex", "cffi", "_cffi_backend", "pycparser",
           "matplotlib")  # fmt: skip
_CODE = f"""
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {BLOCKED!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocked())
"""


def bare_python(folder: Path) -> list[str]:
    """The command of a Python that cannot import `BLOCKED`, nor can the processes it starts."""
    site = folder / "bare"
    site.mkdir()
    (site / "sitecustomize.py").write_text(_CODE, encoding="utf-8")
    src = Path(__file__).parents[2] / "src"
    return ["env", f"PYTHONPATH={site}:{src}", sys.executable]
