"""The kernels that tests run with: all that this machine can."""

from __future__ import annotations

from causerie.native import build
from causerie.native.library import runnable

#: Where nothing was compiled, the tests ask for these, and fail with the reason.
KERNELS = runnable() if build.library("generic").is_file() else ["generic"]
