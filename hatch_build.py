"""Compiles the native kernels when causerie is installed or a wheel of it is built.

Without a C++ compiler, or if it fails, the build goes on with a warning, and causerie computes with
torch alone. `CAUSERIE_BUILD_NATIVE=1` makes that an error, as for the wheels of a release;
`CAUSERIE_BUILD_NATIVE=0` leaves the kernels out, which gives a wheel for all platforms.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NativeKernels(BuildHookInterface):
    """Runs `src/causerie/native/build.py`, in place, for wheels and editable installs alike."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and add the libraries to the wheel, which is then for this platform only."""
        wanted = os.environ.get("CAUSERIE_BUILD_NATIVE", "")
        if wanted not in ("", "0", "1"):
            raise ValueError(f"CAUSERIE_BUILD_NATIVE must be 0, 1 or unset, not {wanted!r}")
        if self.target_name != "wheel" or wanted == "0":
            return
        build = _load(Path(self.root, "src", "causerie", "native", "build.py"))
        try:
            libraries = build.build()
        except build.BuildError as error:
            if wanted == "1":
                raise
            reason = str(error).splitlines()[0]
            self.app.display_warning(f"causerie is built without native kernels: {reason}")
            return
        build_data["artifacts"] += [f"/{path.relative_to(self.root)}" for path in libraries]
        build_data["pure_python"] = False
        # Any Python 3: ctypes loads the libraries, which do not link to it. A Python for both kinds
        # of Mac has them compiled for the one that it runs on.
        tag = sysconfig.get_platform().replace("universal2", platform.machine())
        build_data["tag"] = "py3-none-" + tag.replace("-", "_").replace(".", "_")


def _load(path: Path) -> ModuleType:
    """The module in this file. causerie itself cannot be imported yet."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
