"""A home with the plugin `noteclick` in it."""

import shutil
from pathlib import Path

from tests import noteclick

PATCH = """format = 1
[nodes.k]
type = "noteclick"
[wires]
"k" = "out"
"""


def noteclick_home(folder: Path, patch: str = PATCH) -> Path:
    """Puts the plugin, and `keys.toml`, a patch that plays it, into a folder, which it gives."""
    plugin = folder / "data" / "plugins" / "noteclick"
    plugin.mkdir(parents=True)
    shutil.copy(Path(noteclick.__file__), plugin / "__init__.py")
    (folder / "keys.toml").write_text(patch)
    return folder
