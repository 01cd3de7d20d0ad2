"""Folders of packages in the working tree, and the path of processes that tests start."""

import os
from pathlib import Path

from antiphon.kernel.runtime.resources import source_folders

ROOT = Path(__file__).parents[1]
SOURCES = source_folders(ROOT)
PLUGINS = sorted(file.parent for file in ROOT.glob("plugins/*/antiphon_*/__init__.py"))
"""Folder of each plugin that ships."""
PROJECTS = [ROOT / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml")), ROOT / "models" / "pyproject.toml"]
"""Distributions of the workspace: `antiphon` first, the lab last."""
PYTHONPATH = os.pathsep.join(map(str, SOURCES))
