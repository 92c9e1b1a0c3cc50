"""Builds HTML reports without scripts or network: `page.page` and its parts, and SVG `charts`."""
