"""Imports the plugins that a process needs, and no others."""

from __future__ import annotations

from collections.abc import Callable, Collection

from antiphon.kernel.plugins.dispatcher import HookDispatcher
from antiphon.kernel.plugins.finding import sources


def import_plugins(wanted: Collection[str], failed: Callable[[str, BaseException], None]) -> HookDispatcher:
    """Plugins imported in load order, for their hooks; `failed` gets name and exception of each left out."""
    dispatcher = HookDispatcher()
    for source in sources():
        if source.name in wanted and not source.problem:
            try:
                dispatcher.add(source.name, source.importing())
            except (Exception, SystemExit) as error:
                failed(source.name, error)
    return dispatcher
