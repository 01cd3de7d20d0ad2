"""Cache of the page of `antiphon --help`, which a start prints without building a command."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from antiphon.cli.errors import WIDTH
from antiphon.kernel.runtime import paths, resources

NAME = "help"


def read() -> str:
    """Returns the page for this terminal; "" if none is stored, or a command's source has changed since."""
    page = paths.read_kept(NAME, _page_sources())
    return page if isinstance(page, str) else ""


def keep(page: str) -> None:
    """Stores the page for the next start."""
    paths.keep(NAME, _page_sources(), page)


def _page_sources() -> list[Any]:
    """Sources of the page: modules of commands, installed plugins, and the columns of the terminal."""
    return [*source_stamp("cli/*.py", "cli/*/*.py"), min(WIDTH, shutil.get_terminal_size().columns)]


def source_stamp(*own: str) -> list[Any]:
    """Cache key that changes with plugin files, installed packages and Antiphon's location.

    `own`: patterns of the server's own sources that count as well.
    """
    root = resources.checkout()
    folders = [paths.plugins(), *([root / "plugins", root / "models"] if root is not None else [])]
    changed = [stat.stat() for folder in folders for stat in _sources(folder)]
    changed += [file.stat() for pattern in own for file in Path(__file__).parents[1].glob(pattern)]
    installed = [
        Path(path).stat().st_mtime_ns for path in sys.path if path.endswith("-packages") and Path(path).exists()
    ]
    newest = max((stat.st_mtime_ns for stat in changed), default=0)
    return [str(root), len(changed), newest, sum(stat.st_size for stat in changed), installed]


def _sources(folder: Path) -> Iterator[Path]:
    """Modules with a plugin's declarations."""
    yield from folder.glob("*/*.py")
    yield from folder.glob("*/commands/*.py")
