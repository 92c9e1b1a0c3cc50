"""Compiles the native kernels when causerie is installed or a wheel of it is made.

Where there is no C++ compiler, or it refuses, one line says so and installation goes on: causerie
then computes with torch alone.
"""

from __future__ import annotations

import importlib.util
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NativeKernels(BuildHookInterface):
    """Runs `src/causerie/native/build.py`, in place, for wheels and editable installs alike."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and put the libraries into the wheel, which then is for this platform only."""
        if self.target_name != "wheel":
            return
        build = _load(Path(self.root, "src", "causerie", "native", "build.py"))
        try:
            libraries = build.build()
        except build.BuildError as error:
            reason = str(error).splitlines()[0]
            self.app.display_warning(f"causerie goes without native kernels: {reason}")
            return
        build_data["artifacts"] += [f"/{path.relative_to(self.root)}" for path in libraries]
        build_data["pure_python"] = False
        # Any Python 3: ctypes loads the libraries, which know nothing of it.
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"


def _load(path: Path) -> ModuleType:
    """A module by its file: causerie itself cannot be imported yet."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
