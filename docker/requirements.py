"""What causerie needs, one requirement a line: so that an image has them in a layer of their own.

python docker/requirements.py pyproject.toml EXTRA…
"""

import sys
from pathlib import Path

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib  # type: ignore[no-redef]

project = tomllib.loads(Path(sys.argv[1]).read_text())["project"]
wanted = list(project["dependencies"])
for extra in sys.argv[2:]:
    wanted += project["optional-dependencies"][extra]
print("\n".join(wanted))
