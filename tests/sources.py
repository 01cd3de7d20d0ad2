"""Folders of packages in the working tree, and the path of processes that tests start."""

import os
from pathlib import Path

from antiphon.kernel.runtime.resources import source_folders

ROOT = Path(__file__).parents[1]
SOURCES = source_folders(ROOT)
PLUGINS = sorted(file.parent for file in ROOT.glob("plugins/*/antiphon_*/__init__.py"))
"""Folder of each plugin that ships."""
PYTHONPATH = os.pathsep.join(map(str, SOURCES))
