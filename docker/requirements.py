"""Print causerie's requirements, one per line, for a separate layer of an image.

python docker/requirements.py pyproject.toml EXTRA…
"""

import sys
from pathlib import Path

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib  # type: ignore[no-redef]

project = tomllib.loads(Path(sys.argv[1]).read_text())["project"]
requirements = list(project["dependencies"])
for extra in sys.argv[2:]:
    requirements += project["optional-dependencies"][extra]
print("\n".join(requirements))
