"""The command `causerie`.

Commands import what they need when they run, so that help is quick.
"""

from __future__ import annotations

from causerie.cli.app import app, main

__all__ = ["app", "main"]
