"""Which plugin implements which hooks, without importing plugins whose files have not changed: for the command line.

The list is kept in the cache, with the times of the files it came from.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from antiphon.runtime import paths

if TYPE_CHECKING:
    from antiphon.plugins.finding import PluginSource

FILE = "hooks.json"


@dataclass(frozen=True, slots=True)
class HookLists:
    """hooks: by plugin, the names of those it implements.  failures: by plugin, why it cannot be imported."""

    hooks: dict[str, list[str]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def implementing(self, hook: str) -> set[str]:
        """The plugins that have this hook."""
        return {plugin for plugin, hooks in self.hooks.items() if hook in hooks}


def hook_lists() -> HookLists:
    """Of every plugin there is."""
    file = paths.cache() / FILE
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(file.read_bytes())
        if kept["places"] == _places() and all(_times(Path(at)) == times for at, times in kept["folders"].items()):
            return HookLists(**kept["lists"])
    from antiphon.plugins.finding import sources  # not where the list is kept: it reads what is installed

    places, found = _places(), sources()
    folders = {str(source.folder): _times(source.folder) for source in found if source.folder is not None}
    lists = _read(found)
    kept = {"places": places, "folders": folders, "lists": asdict(lists)}
    # a cache that cannot be written costs the next command its speed, and no more
    with contextlib.suppress(Exception):
        paths.write_atomic(file, json.dumps(kept).encode())
    return lists


def _read(found: Iterable[PluginSource]) -> HookLists:
    """Imports them all: what is not built in, in a child process that may hang or crash."""
    from antiphon.plugins.reasons import reason_of

    lists = HookLists()
    for source in found:
        if source.problem:
            lists.failures[source.name] = source.problem
            continue
        if source.built_in:
            try:
                said = _hooks(source)
            except (Exception, SystemExit) as error:
                said = reason_of(error)
        else:
            from antiphon.plugins.checks import CHECK_LIMIT, in_child

            said = in_child(partial(_hooks, source), CHECK_LIMIT)
        try:
            lists.hooks[source.name] = json.loads(said)["hooks"]
        except (ValueError, KeyError, TypeError):
            lists.failures[source.name] = said
    return lists


def _hooks(source: PluginSource) -> str:
    from antiphon.plugins.dispatcher import HookDispatcher

    return json.dumps({"hooks": HookDispatcher().add(source.name, source.importing())})


def _places() -> list[Any]:
    """Changes when something is installed or taken away, and when a folder comes to the performer's own."""
    folders = [paths.plugins(), *(Path(entry) for entry in sys.path)]
    return [[str(folder), *_stamp(folder)] for folder in folders]


def _times(folder: Path) -> list[list[Any]]:
    """Changes when a module beside a plugin's `__init__.py` does."""
    return [[file.name, *_stamp(file)] for file in sorted(folder.glob("*.py"))]


def _stamp(path: Path) -> list[int]:
    try:
        found = path.stat()
    except OSError:
        return [0, 0]
    return [found.st_mtime_ns, found.st_size]
